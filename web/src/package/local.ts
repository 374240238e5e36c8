import { FileCache } from './cache.js';
import { addressOf, type Source } from './compile.js';
import { VisitorConsent } from './consent.js';
import type { Entry, Opened } from './entry.js';
import { disposed } from './errors.js';
import { Fetcher } from './fetcher.js';
import { Log } from './log.js';
import { Manifests } from './manifest.js';
import { coreModule, type Handle, LastingCore, type Module } from './modules.js';
import { CORE_ROLES, LATER_ROLES } from './opener.js';
import { LocalProfile } from './profile.js';
import { LocalRecommender } from './recommender.js';
import { Shards } from './shards.js';
import type { GraphInput, Towers } from './towers.js';
import type { LoadOptions, WasmSource } from './types.js';
import { type Means, type Version, Versions } from './versions.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that a page fetches. It needs no item tower, because it has the items' rows. */
const PAGE_ROLES = [...CORE_ROLES, ...LATER_ROLES, 'user_tower', 'ranker'];
/**
 * Milliseconds in which a manifest comes from a near host. From others the tower is fetched when the core has its
 * files: over a slow line it would take their bandwidth.
 */
const NEAR_MS = 60;

/** Starts a module, unless it runs. */
type Start = (module: Module, source: Source) => ReturnType<Module['start']>;

/**
 * Opens the bundle in `folder`, an absolute address that ends in `/`, in this thread: a page, a worker or Node.
 * `workerError` says why it is not in a worker, if that was asked for. `onNews` is called when another tab has changed
 * what `features` says.
 */
export async function loadLocal(
  folder: URL,
  options: LoadOptions,
  entry: Entry,
  workerError?: string,
  onNews?: () => void,
): Promise<Opened> {
  const { worker = false, integrity, maxBytes, onProgress, wasm } = options;
  // If one file is refused, the fetches of all others end; and so they do at `dispose`.
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const opening = FileCache.open(folder, options.cache ?? true, options.consent?.storage ?? true);
  const undo: (() => void)[] = [() => ended.abort()];
  try {
    const wanted = (options.tower ?? true) ? entry.tower : undefined;
    const tower = wanted && { ...wanted, source: sourceOf(wasm?.tower, wanted.source) };
    const roles = tower ? PAGE_ROLES : CORE_ROLES;
    const coreSource = sourceOf(wasm?.core, entry.core);
    const sources = [coreSource, ...(tower ? [tower.source] : [])];
    const start: Start = (module, { source }) => module.start(source, async (url) => (await opening).module(url));
    let coreOpened: () => void = () => {};
    const opened = new Promise<void>((resolve) => (coreOpened = resolve));
    const since = performance.now();
    const manifests = new Manifests(folder, opening, roles, signal);
    const fetched = manifests.fetch();
    const turn = async () => {
      await fetched;
      if (performance.now() - since > NEAR_MS) await opened;
    };
    const towersOf = tower && towerLoader(tower, start, turn());
    const [manifest] = await Promise.all([fetched, start(coreModule, coreSource)]);
    // It runs, unless another recommender's call has trapped meanwhile.
    const { module } = await coreModule.start();
    const cache = await opening;
    const shardsOf = worker && typeof Worker !== 'undefined' ? worker : false;
    const versions = await Versions.open(manifest, {
      cache,
      manifests,
      integrity,
      maxBytes,
      signal,
      fetcher: (opener, signal) => {
        const fetcher = new Fetcher(cache, opener.files(roles), opener.plan.memory, signal, onProgress, sources);
        fetcher.arrived(coreSource);
        return fetcher;
      },
      shards: (opener, manifest) =>
        Shards.open(entry.shard, shardsOf, opener.files(['items']), { do: 'open', module, manifest, maxBytes }),
      towers: towersOf,
    });
    undo.push(() => versions.now.end());

    // The core is opened while the storage is.
    const core = new LastingCore(() => versions.core(prepare));
    undo.push(() => core.dispose());
    const { cap } = versions.now.info.encoding.history;
    const log = new Log(core, undefined);
    const profile = new LocalProfile(core, cap, log);
    const consent = new VisitorConsent(options, cap, core, log, profile, cache, onNews);
    undo.push(() => consent.close());
    const kept = consent.open();
    /** The towers of the version that stays. */
    let loaded: Towers | undefined;
    const prepare = async (handle: Handle<Core>) => {
      coreOpened();
      await kept;
      const lines = await log.lines();
      handle.call((core) => {
        if (tower) core.setRuntime((graph: string, inputs: GraphInput[]) => loaded?.run(graph, inputs));
        log.restore(core, lines);
        profile.restore(core);
      });
    };
    await versions.reach(core, () => {});
    // If a file of the tower is gone by now, another version comes before the page sees this one.
    await versions.reach(core, ({ towers }) => Promise.race([towers, undefined])).catch(() => core.use(() => {}));
    const store = await kept;
    if (store) await profile.setAside(store, await profile.refresh(store));
    const towers = tower && versions.reach(core, ({ towers }) => towers as Promise<Towers>).then((towers) => (loaded = towers));
    void Promise.resolve(towers)
      .then(() => keepAll(versions.now, cache, roles, sources, ended.signal))
      .catch(() => {});
    const stop = () => {
      ended.abort(disposed());
      versions.now.end();
    };
    return new LocalRecommender({ log, profile, consent, core, versions, cache, towers, stop, workerError });
  } catch (error) {
    undo.forEach((step) => step());
    throw error;
  }
}

/** Starts the tower's module when it is its `turn`. Returns what loads the towers of a version. */
function towerLoader(
  { module, open, source }: Omit<NonNullable<Entry['tower']>, 'source'> & { source: Source },
  start: Start,
  turn: Promise<unknown>,
): NonNullable<Means['towers']> {
  const started = turn.then(() => start(module, source));
  started.catch(() => {});
  return async (fetcher, { files, shapes }) => {
    await turn;
    const graph = async (role: string) => {
      const file = files.find((file) => file.role === role);
      return file && fetcher.bytes(file);
    };
    const arrived = started.then(() => fetcher.arrived(source));
    const [user = new Uint8Array(), ranker] = await Promise.all([graph('user_tower'), graph('ranker'), arrived]);
    // Another bundle's tower may have trapped meanwhile.
    await module.start();
    return open({ user, ranker, shapes });
  };
}

/** Keeps on the device what the next visit needs, for the case that its network is gone. */
async function keepAll(
  version: Version,
  cache: FileCache,
  roles: string[],
  sources: Source[],
  signal: AbortSignal,
): Promise<void> {
  const { manifest, opener } = version;
  if (manifest.kept) return;
  await cache.settle(manifest.bytes, opener.plan.files, opener.files(roles));
  const addresses = sources.map(({ source }) => addressOf(source)).filter((url) => url !== undefined);
  await cache.keepModules(addresses, signal);
}

/** The source that the page gives for a module, or else the entry's. */
function sourceOf(given: WasmSource | undefined, own: () => Source): Source {
  return given === undefined ? own() : { source: given, bytes: 0 };
}
