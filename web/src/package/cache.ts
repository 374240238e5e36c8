import { deltasOf, patch } from './delta.js';
import { said } from './errors.js';
import { type BundleFile, type FetchOptions, fetchFile } from './fetch.js';
import { answered, NoAnswer, retried } from './waiting.js';

const NAME = 'foretaste';
/** Milliseconds after which Cache Storage is taken for dead. */
const PATIENCE = 3000;
/** The same for a file that is written. */
const WRITE_PATIENCE = 30_000;
/** In the address of a kept manifest. */
const MANIFEST = 'manifest.json?kept';
/** In the addresses of kept files: the hash. */
const HASH = 'sha256';
/** In the addresses of kept modules: the build that they belong to, as a script works with its own modules only. */
const BUILD = 'foretaste';

/**
 * The files of one bundle that this device keeps in Cache Storage, by address and hash; its manifest and the modules,
 * for visits without a network.
 *
 * It only saves bytes and time: whatever it returns is checked like a file from the host. Where the browser has no
 * Cache Storage, denies it or gets no answer from it, every file comes from the host.
 */
export class FileCache {
  /** Files of the host that make a file of this bundle from one of an earlier bundle. */
  deltas: BundleFile[] = [];
  /** Paths of files that are asked for past the HTTP cache, which has spoilt ones. */
  readonly stale = new Set<string>();
  /** What went wrong with Cache Storage. */
  error: string | undefined;
  /** Lookups started by `prefetch`; each is used once. */
  private readonly prefetched = new Map<string, Promise<Response | undefined>>();
  /** Files that are being written. */
  private readonly writes: Promise<unknown>[] = [];

  private cache: Cache | undefined;

  private constructor(
    private readonly folder: URL,
    private readonly wanted: boolean,
  ) {}

  /** Opens the cache of the bundle in `folder`. With `wanted` or `allowed` false nothing is kept or found. */
  static async open(folder: URL, wanted: boolean, allowed: boolean): Promise<FileCache> {
    const files = new FileCache(folder, wanted && 'caches' in globalThis && folder.protocol.startsWith('http'));
    if (allowed) await files.allow();
    return files;
  }

  /** Keeps files from now on, if the page wants it. */
  async allow(): Promise<void> {
    if (this.wanted) this.cache = await this.attempt(() => caches.open(NAME));
  }

  /** Keeps nothing from now on, and deletes all that is kept. */
  erase(): Promise<void> {
    this.cache = undefined;
    return eraseFiles();
  }

  /** The answer of Cache Storage; undefined if it fails. If none comes, the load goes on without it. */
  private async attempt<T>(ask: () => Promise<T>, patience = PATIENCE): Promise<T | undefined> {
    try {
      return await answered(ask(), 'Cache Storage', patience);
    } catch (error) {
      this.error ??= said(error);
      if (error instanceof NoAnswer) this.cache = undefined;
      return undefined;
    }
  }

  private key(file: BundleFile): string {
    return new URL(`${file.path}?${HASH}=${file.sha256}`, this.folder).href;
  }

  /** Starts to look files up before anyone needs them: a lookup takes about as long as fetching a small file. */
  prefetch(files: BundleFile[]): void {
    files.forEach((file) => this.prefetched.set(this.key(file), this.match(this.key(file))));
  }

  private async match(key: string, options?: CacheQueryOptions): Promise<Response | undefined> {
    const { cache } = this;
    return cache && this.attempt(() => cache.match(key, options));
  }

  private find(file: BundleFile): Promise<Response | undefined> {
    const key = this.key(file);
    const found = this.prefetched.get(key) ?? this.match(key);
    this.prefetched.delete(key);
    return found;
  }

  /** Whether all of some files are kept. */
  async has(files: BundleFile[]): Promise<boolean> {
    const found = await Promise.all(files.map((file) => this.match(this.key(file))));
    found.forEach((response) => void response?.body?.cancel().catch(() => {}));
    return found.every(Boolean);
  }

  /** The manifest of the bundle that is kept. */
  manifest(): Promise<Response | undefined> {
    return this.match(new URL(MANIFEST, this.folder).href);
  }

  /**
   * Makes a file from one of an earlier bundle and a delta. Undefined if that fails: the caller then fetches the whole
   * file.
   */
  private async fromDelta(file: BundleFile, options: FetchOptions): Promise<Response | undefined> {
    for (const { delta, from } of this.cache ? deltasOf(file, this.deltas) : []) {
      try {
        const old = await this.match(new URL(from, this.folder).href, { ignoreSearch: true });
        if (old) return await patch(old, await fetchFile(this.folder, delta.path, options), delta, file.bytes);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    return undefined;
  }

  /**
   * Calls `use` with the file: with the kept one, or else with one made from a delta, or else with the host's. If `use`
   * rejects it, it is dropped and the next is tried.
   */
  async with<T>(file: BundleFile, options: FetchOptions, use: (response: Response) => Promise<T>): Promise<T> {
    const kept = await this.find(file);
    if (kept) {
      try {
        return await use(kept);
      } catch {
        options.signal?.throwIfAborted();
        await this.forget(this.key(file));
      }
    }
    const made = await this.fromDelta(file, options);
    if (made) {
      try {
        return await this.keep(file, made, use);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    const cache = this.stale.has(file.path) ? 'reload' : 'default';
    return retried(options.signal, async () =>
      this.keep(file, await fetchFile(this.folder, file.path, { ...options, cache }), use),
    );
  }

  /** Calls `use` with a response and keeps it for the next visit, unless `use` rejects it. */
  private async keep<T>(file: BundleFile, response: Response, use: (response: Response) => Promise<T>): Promise<T> {
    const { cache } = this;
    const key = this.key(file);
    // A full disk must not fail the load.
    const written = cache?.put(key, response.clone());
    written?.catch(() => {});
    try {
      const used = await use(response);
      if (written) this.writes.push(this.attempt(() => written, WRITE_PATIENCE));
      return used;
    } catch (error) {
      // The write may have failed with the file, which is no fault of the cache.
      if (written) await answered(written, NAME, PATIENCE).catch(() => {});
      await this.forget(key);
      throw error;
    }
  }

  private async put(key: string, response: Response): Promise<void> {
    const { cache } = this;
    if (cache) await this.attempt(() => cache.put(key, response), WRITE_PATIENCE);
  }

  private async forget(key: string): Promise<void> {
    const { cache } = this;
    if (cache) await this.attempt(() => cache.delete(key));
  }

  /**
   * Keeps the manifest of the open bundle, if all that a visit needs is kept, and deletes what earlier bundles of this
   * folder left. `files` are those of the bundle.
   */
  async settle(manifest: Uint8Array<ArrayBuffer>, files: BundleFile[], needed: BundleFile[]): Promise<void> {
    await Promise.all(this.writes);
    const key = new URL(MANIFEST, this.folder).href;
    if (await this.has(needed)) await this.put(key, new Response(manifest));
    else await this.forget(key);
    const current = new Set(files.map((file) => this.key(file)));
    await this.prune(this.folder, (url) => url.searchParams.has(HASH) && !current.has(url.href));
  }

  /** The module of `url`, if it is kept. */
  module(url: URL): Promise<Response | undefined> {
    return this.match(moduleKey(url));
  }

  /** Keeps the modules of some addresses. They are in the HTTP cache, unless their host forbids that. */
  async keepModules(urls: URL[], signal: AbortSignal): Promise<void> {
    for (const url of urls) {
      const key = moduleKey(url);
      if (!this.cache || !url.protocol.startsWith('http') || (await this.match(key))) continue;
      const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
      const options: FetchOptions = { signal, priority: 'low', cache: 'force-cache' };
      await this.put(key, await fetchFile(new URL('.', url), name + url.search, options));
      await this.prune(url, ({ searchParams }) => (searchParams.get(BUILD) ?? MODULES_BUILD) !== MODULES_BUILD);
    }
  }

  /** Deletes the old ones of what is kept of the files beside `url`. */
  private async prune(url: URL, isOld: (url: URL) => boolean): Promise<void> {
    const { cache } = this;
    const folder = new URL('.', url).href;
    const kept = (cache && (await this.attempt(() => cache.keys()))) ?? [];
    const old = kept.filter(({ url }) => new URL('.', url).href === folder && isOld(new URL(url)));
    await Promise.all(old.map(({ url }) => this.forget(url)));
  }
}

/** Deletes all that the package keeps in Cache Storage. */
export async function eraseFiles(): Promise<void> {
  if ('caches' in globalThis) await answered(caches.delete(NAME), 'Cache Storage', PATIENCE);
}

function moduleKey(url: URL): string {
  const key = new URL(url);
  key.searchParams.set(BUILD, MODULES_BUILD);
  return key.href;
}
