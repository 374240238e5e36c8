import { FileCache } from './cache.js';
import { ForetasteError, said } from './errors.js';
import { type BundleFile, fetchFile, readAll } from './fetch.js';
import { Fetcher, readChecked } from './fetcher.js';
import { Log } from './log.js';
import { coreModule, type GraphInput, type Handle, LastingCore, sha256, Towers, towerModule } from './modules.js';
import { CORE_ROLES, Opener, type Plan } from './opener.js';
import { LocalProfile } from './profile.js';
import { LocalRecommender } from './recommender.js';
import { Shards } from './shards.js';
import { Store } from './store.js';
import type { Info, LoadOptions, Recommender } from './types.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that a page fetches. It needs no item tower, because it has the items' rows. */
const PAGE_ROLES = [...CORE_ROLES, 'user_tower'];
const MAX_MANIFEST_BYTES = 64 << 20;

/** Opens the bundle in `folder`, an absolute address that ends in `/`, in this thread: a page, a worker or Node. */
export async function loadLocal(folder: URL, options: LoadOptions): Promise<Recommender> {
  const { worker = false, tower = true, maxBytes } = options;
  // If one file is refused, the fetches of all others end; and so they do at `dispose`.
  const ended = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal;
  const opening = FileCache.open(folder, options.cache ?? true);
  const roles = tower ? PAGE_ROLES : CORE_ROLES;
  const fetched = Promise.all([fetchManifest(folder, opening, roles, signal), coreModule.start(options.wasm?.core)]);
  const towerStarted = tower ? towerModule.start(options.wasm?.tower) : undefined;
  towerStarted?.catch(() => {});
  const undo: (() => void)[] = [() => ended.abort()];
  try {
    const [manifest] = await fetched;
    await checkIntegrity(manifest, options.integrity);
    // It runs, unless another recommender's call has trapped meanwhile.
    const { module } = await coreModule.start();
    const opener = new Opener(manifest, maxBytes);
    const { plan } = opener;
    const info = parsed(manifest);
    const cache = await opening;
    cache.deltas = info.files;
    const shardsOf = worker && typeof Worker !== 'undefined' ? worker : false;
    const shards = Shards.open(shardsOf, opener.files(['items']), { do: 'open', module, manifest, maxBytes });
    undo.push(() => shards?.stop());
    const fetcher = new Fetcher(cache, opener.files(roles), plan.memory, signal, options.onProgress);
    const towers = towerStarted && loadTowers(fetcher, plan, towerStarted);
    towers?.catch(() => {});

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
    const kept = openStorage(options, cap).then(({ store, storageError }) => {
      const log = new Log(core, store);
      return { store, storageError, log, profile: new LocalProfile(core, cap, store, log) };
    });
    undo.push(() => void kept.then(({ store }) => store?.close()));
    const run = runOf(towers);
    const prepare = async (handle: Handle<Core>) => {
      const { log, profile } = await kept;
      const lines = await log.lines();
      handle.call((core) => {
        if (run) core.setRuntime(run);
        log.restore(core, lines);
        profile.restore(core);
      });
    };
    await core.use(() => {});
    await shards?.sealed();
    const { store, profile } = await kept;
    if (store) await profile.setAside(store, await profile.refresh(store));
    void Promise.resolve(towers)
      .then(() => cache.prune(plan.files))
      .catch(() => {});
    const golden = () => fetchGolden(folder, opener.files(['golden'])[0], ended.signal);
    const stop = () => ended.abort();
    return new LocalRecommender({ ...(await kept), core, info, policies: plan.policies, towers, golden, shards, stop });
  } catch (error) {
    undo.forEach((step) => step());
    throw error;
  }
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

/**
 * The bytes of the manifest. Its files are looked up in the cache at once; none is fetched from the host before the
 * core has checked the manifest.
 */
async function fetchManifest(
  folder: URL,
  opening: Promise<FileCache>,
  roles: string[],
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetchFile(folder, 'manifest.json', { signal });
  const manifest = await readAll(response, 'manifest.json', MAX_MANIFEST_BYTES);
  void opening
    .then((cache) => cache.prefetch(parsed(manifest).files.filter((file) => roles.includes(file.role))))
    .catch(() => {});
  return manifest;
}

function parsed(manifest: Uint8Array): Info & { files: BundleFile[] } {
  return JSON.parse(new TextDecoder().decode(manifest)) as Info & { files: BundleFile[] };
}

async function loadTowers(fetcher: Fetcher, { files, shapes }: Plan, started: Promise<unknown>): Promise<Towers> {
  const graph = files.find((file) => file.role === 'user_tower');
  const [user] = await Promise.all([graph ? fetcher.bytes(graph) : new Uint8Array(), started]);
  // Another bundle's tower may have trapped meanwhile.
  await towerModule.start();
  return new Towers({ user, shapes });
}

async function fetchGolden(folder: URL, file: BundleFile | undefined, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (!file) throw new ForetasteError('missing', 'manifest.json: there are no golden rows', 'golden');
  return readChecked(await fetchFile(folder, file.path, { signal }), file);
}

/** The store that the options ask for, or why it could not be opened. `cap` is the most events. */
async function openStorage(
  { storage, namespace = 'default' }: LoadOptions,
  cap: number,
): Promise<{ store: Store | undefined; storageError: string | undefined }> {
  if (storage !== 'indexeddb') return { store: undefined, storageError: undefined };
  try {
    return { store: await Store.open(namespace, cap), storageError: undefined };
  } catch (error) {
    // Private windows and strict settings deny storage; the page still recommends.
    return { store: undefined, storageError: said(error) };
  }
}

async function checkIntegrity(manifest: Uint8Array<ArrayBuffer>, integrity: string | undefined): Promise<void> {
  if (integrity === undefined) return;
  const got = `sha256-${btoa(String.fromCharCode(...(await sha256(manifest))))}`;
  if (got !== integrity) throw new ForetasteError('hash', `manifest.json: expected ${integrity}, got ${got}`, 'manifest.json');
}
