import { FileCache } from './cache.js';
import type { Source } from './compile.js';
import { VisitorConsent } from './consent.js';
import type { Entry, Opened } from './entry.js';
import { ForetasteError } from './errors.js';
import { type BundleFile, fetchFile } from './fetch.js';
import { Fetcher, readChecked } from './fetcher.js';
import { Log } from './log.js';
import { checkIntegrity, fetchManifest, parsed } from './manifest.js';
import { coreModule, type Handle, LastingCore } from './modules.js';
import { CORE_ROLES, Opener } from './opener.js';
import { LocalProfile } from './profile.js';
import { LocalRecommender } from './recommender.js';
import { Shards } from './shards.js';
import type { GraphInput, Towers } from './towers.js';
import type { LoadOptions, WasmSource } from './types.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that a page fetches. It needs no item tower, because it has the items' rows. */
const PAGE_ROLES = [...CORE_ROLES, 'user_tower'];
/**
 * Milliseconds in which a manifest comes from a near host. From others the tower is fetched when the core has its
 * files: over a slow line it would take their bandwidth.
 */
const NEAR_MS = 60;

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
  const { worker = false, maxBytes, wasm } = options;
  // If one file is refused, the fetches of all others end; and so they do at `dispose`.
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const opening = FileCache.open(folder, options.cache ?? true, options.consent?.storage ?? true);
  const tower = (options.tower ?? true) ? entry.tower : undefined;
  const roles = tower ? PAGE_ROLES : CORE_ROLES;
  const undo: (() => void)[] = [() => ended.abort()];
  try {
    const coreSource = sourceOf(wasm?.core, entry.core);
    const towerSource = tower && sourceOf(wasm?.tower, tower.source);
    let coreOpened: () => void = () => {};
    const opened = new Promise<void>((resolve) => (coreOpened = resolve));
    const since = performance.now();
    const fetched = fetchManifest(folder, opening, roles, signal);
    const towersTurn = fetched.then(() => (performance.now() - since > NEAR_MS ? opened : undefined));
    const towerStarted = towersTurn.then(() => towerSource && tower?.module.start(towerSource.source));
    towerStarted.catch(() => {});
    const [manifest] = await Promise.all([fetched, coreModule.start(coreSource.source)]);
    await checkIntegrity(manifest, options.integrity);
    // It runs, unless another recommender's call has trapped meanwhile.
    const { module } = await coreModule.start();
    const opener = new Opener(manifest, maxBytes);
    const { plan } = opener;
    const info = parsed(manifest);
    const cache = await opening;
    cache.deltas = info.files;
    const shardsOf = worker && typeof Worker !== 'undefined' ? worker : false;
    const shards = Shards.open(entry.shard, shardsOf, opener.files(['items']), { do: 'open', module, manifest, maxBytes });
    undo.push(() => shards?.stop());
    const sources = [coreSource, ...(towerSource ? [towerSource] : [])];
    const fetcher = new Fetcher(cache, opener.files(roles), plan.memory, signal, options.onProgress, sources);
    fetcher.arrived(coreSource);
    const loadTowers = async ({ module, open }: NonNullable<typeof tower>): Promise<Towers> => {
      const graph = plan.files.find((file) => file.role === 'user_tower');
      const started = towerStarted.then(() => towerSource && fetcher.arrived(towerSource));
      await towersTurn;
      const [user] = await Promise.all([graph ? fetcher.bytes(graph) : new Uint8Array(), started]);
      // Another bundle's tower may have trapped meanwhile.
      await module.start();
      return open({ user, shapes: plan.shapes });
    };
    const towers = tower && loadTowers(tower);
    towers?.catch(() => fetcher.end());

    // The core is opened while the storage is.
    let first = true;
    const core: LastingCore = new LastingCore(async () => {
      const again = new Fetcher(cache, [], 0, ended.signal, undefined);
      const handle = await (first
        ? opener.open(fetcher, (message) => shards?.send(message), prepare)
        : opener.open(again, () => {}, prepare));
      first = false;
      return handle;
    });
    undo.push(() => core.dispose());
    const { cap } = info.encoding.history;
    const log = new Log(core, undefined);
    const profile = new LocalProfile(core, cap, log);
    const consent = new VisitorConsent(options, cap, core, log, profile, cache, onNews);
    undo.push(() => consent.close());
    const kept = consent.open();
    const run = runOf(towers);
    const prepare = async (handle: Handle<Core>) => {
      coreOpened();
      await kept;
      const lines = await log.lines();
      handle.call((core) => {
        if (run) core.setRuntime(run);
        log.restore(core, lines);
        profile.restore(core);
      });
    };
    await core.use(() => {});
    await shards?.sealed();
    const store = await kept;
    if (store) await profile.setAside(store, await profile.refresh(store));
    void Promise.resolve(towers)
      .then(() => cache.prune(plan.files))
      .catch(() => {});
    const golden = () => fetchGolden(folder, opener.files(['golden'])[0], ended.signal);
    const stop = () => ended.abort();
    const { policies } = plan;
    return new LocalRecommender({ log, profile, consent, core, info, policies, towers, golden, shards, stop, workerError });
  } catch (error) {
    undo.forEach((step) => step());
    throw error;
  }
}

/** The source that the page gives for a module, or else the entry's. */
function sourceOf(given: WasmSource | undefined, own: () => Source): Source {
  return given === undefined ? own() : { source: given, bytes: 0 };
}

/** Runs a graph of the towers, once they are there. Undefined if there will be none. */
function runOf(towers: Promise<Towers> | undefined): ((graph: string, inputs: GraphInput[]) => unknown) | undefined {
  let loaded: Towers | undefined;
  towers?.then(
    (towers) => (loaded = towers),
    () => {},
  );
  return towers && ((graph, inputs) => loaded?.run(graph, inputs));
}

async function fetchGolden(folder: URL, file: BundleFile | undefined, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (!file) throw new ForetasteError('missing', 'manifest.json: there are no golden rows', 'golden');
  return readChecked(await fetchFile(folder, file.path, { signal }), file);
}
