import type { FileCache } from './cache.js';
import { ForetasteError } from './errors.js';
import { type BundleFile, fetchFile } from './fetch.js';
import { Fetcher, readChecked } from './fetcher.js';
import { checkIntegrity, isEqual, type Manifest, type Manifests, parsed } from './manifest.js';
import type { Handle, LastingCore } from './modules.js';
import { CORE_ROLES, Opener, type Plan } from './opener.js';
import type { Shards } from './shards.js';
import type { Towers } from './towers.js';
import type { Info } from './types.js';
import { retried } from './waiting.js';
import type { Core } from './wasm/core.js';

/** How often a load may start over with another manifest. */
const MAX_MOVES = 3;

/** What each version of a bundle is opened with. */
export interface Means {
  cache: FileCache;
  manifests: Manifests;
  integrity: string | undefined;
  maxBytes: number | undefined;
  /** Ends the fetches of the load. */
  signal: AbortSignal;
  /** Fetches the files of a version that the load needs, and reports it. */
  fetcher: (files: Opener, signal: AbortSignal) => Fetcher;
  shards: (opener: Opener, manifest: Uint8Array) => Shards | undefined;
  /** The towers of a version; undefined if the page asked for none. */
  towers: ((fetcher: Fetcher, plan: Plan) => Promise<Towers>) | undefined;
}

/** One version of a bundle: what its manifest says, and its parts while they are fetched. */
export class Version {
  readonly info: Info & { files: BundleFile[] };
  readonly policies: string[];
  /** Whether the device kept it, and the host could not be reached. */
  readonly offline: boolean;
  readonly shards: Shards | undefined;
  /** The towers, when the neighbours are there too. */
  readonly towers: Promise<Towers> | undefined;
  private readonly ended = new AbortController();
  private readonly fetcher: Fetcher;
  /** The towers alone. */
  private readonly loading: Promise<Towers> | undefined;
  private isOpen = false;
  private hasOpened: (core: Handle<Core>) => void = () => {};
  private readonly opened = new Promise<Handle<Core>>((resolve) => (this.hasOpened = resolve));
  private sealing: Promise<void> | undefined;

  constructor(
    readonly manifest: Manifest,
    readonly opener: Opener,
    private readonly means: Means,
  ) {
    this.info = parsed(manifest.bytes);
    this.policies = opener.plan.policies;
    this.offline = manifest.kept;
    means.cache.deltas = this.info.files;
    this.shards = means.shards(opener, manifest.bytes);
    this.fetcher = means.fetcher(opener, AbortSignal.any([means.signal, this.ended.signal]));
    this.loading = means.towers?.(this.fetcher, opener.plan);
    this.towers = this.loading && this.withLater(this.loading);
    this.towers?.catch(() => this.fetcher.end());
  }

  /** The bundle in a core that `prepare` has made ready: once to load it, and again after each trap. */
  async open(prepare: (core: Handle<Core>) => Promise<void>): Promise<Handle<Core>> {
    const { opener, shards, isOpen, means } = this;
    if (isOpen) return opener.open(new Fetcher(means.cache, [], 0, means.signal, undefined), () => {}, prepare);
    const handle = await opener.open(this.fetcher, (message) => shards?.send(message), prepare);
    this.isOpen = true;
    this.hasOpened(handle);
    return handle;
  }

  /** The towers, once the core has the neighbours. They wait for the core, so that they do not delay it. */
  private async withLater(loading: Promise<Towers>): Promise<Towers> {
    const added = this.opened.then((core) => this.opener.addLater(core, this.fetcher));
    const [towers] = await Promise.all([loading, added]);
    return towers;
  }

  /** Resolves when every shard has its rows. */
  sealed(): Promise<void> {
    this.sealing ??= this.shards?.sealed() ?? Promise.resolve();
    return this.sealing;
  }

  /** The files with some roles. */
  files(roles: string[] = CORE_ROLES): BundleFile[] {
    return this.opener.files(roles);
  }

  /** Ends what is not there yet and frees what is: another version takes its place. */
  end(): void {
    this.fetcher.end();
    this.ended.abort();
    this.shards?.stop();
    this.loading?.then((towers) => towers.dispose()).catch(() => {});
  }
}

/** The versions that a load meets: one, unless the bundle changes meanwhile or a cache has an old manifest. */
export class Versions {
  private moves = 0;
  /** The last error after which there was no other version. */
  private hopeless: unknown;

  private constructor(
    private readonly means: Means,
    /** The version that is loaded. */
    public now: Version,
  ) {}

  /** Starts with a manifest. The core must run. */
  static async open(manifest: Manifest, means: Means): Promise<Versions> {
    try {
      return new Versions(means, await version(manifest, means));
    } catch (error) {
      // The page asks for another manifest, which the host may have by now.
      const next = await means.manifests.after(error, manifest).catch(() => undefined);
      if (!next) throw error;
      return new Versions(means, await version(next, means));
    }
  }

  /** The core of the version that is loaded by the time it is open and `prepare` has made it ready. */
  async core(prepare: (core: Handle<Core>) => Promise<void>): Promise<Handle<Core>> {
    for (;;) {
      const { now } = this;
      try {
        const core = await now.open(prepare);
        if (now === this.now) return core;
        core.free();
      } catch (error) {
        if (now === this.now) throw error;
      }
    }
  }

  /** Opens the version at hand in a core and awaits a part of it. If the host has another version by then, that one. */
  async reach<T>(core: LastingCore, part: (version: Version) => T): Promise<Awaited<T>> {
    for (;;) {
      try {
        await core.use(() => {});
        await this.now.sealed();
        return await part(this.now);
      } catch (error) {
        core.check();
        await this.move(error);
        core.renew();
      }
    }
  }

  /**
   * Goes over to another version after an error.
   *
   * @throws the error if there is no other version
   */
  private async move(error: unknown): Promise<void> {
    const { means, now } = this;
    const canMove = this.moves < MAX_MOVES && error !== this.hopeless;
    const next = canMove ? await means.manifests.after(error, now.manifest).catch(() => undefined) : undefined;
    if (!next) {
      this.hopeless = error;
      throw error;
    }
    this.moves += 1;
    this.now = await version(next, means);
    now.end();
  }

  /**
   * The golden rows of the version at hand.
   *
   * @throws `changed` if the host has another version by now
   */
  async golden(): Promise<Uint8Array<ArrayBuffer>> {
    const { manifests, signal, cache } = this.means;
    const { manifest } = this.now;
    const [file] = this.now.files(['golden']);
    if (!file) throw new ForetasteError('missing', 'manifest.json: there are no golden rows', 'golden');
    const { path } = file;
    const ask = (cache: RequestCache) =>
      retried(signal, async () => readChecked(await fetchFile(manifests.folder, path, { signal, cache }), file));
    try {
      return await ask(cache.stale.has(path) ? 'reload' : 'default');
    } catch (error) {
      const present = await manifests.after(error, manifest).catch(() => undefined);
      if (!present || present.kept) throw error;
      // The manifest is the right one, so a cache on the way has the wrong file.
      if (isEqual(present.bytes, manifest.bytes)) return ask('reload');
      throw new ForetasteError('changed', `${path}: the host has another version; load it again`, path);
    }
  }
}

async function version(manifest: Manifest, means: Means): Promise<Version> {
  await checkIntegrity(manifest.bytes, means.integrity);
  return new Version(manifest, new Opener(manifest.bytes, means.maxBytes), means);
}
