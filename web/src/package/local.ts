import { FileCache } from './cache.js';
import { ForetasteError, typed } from './errors.js';
import { type BundleFile, fetchFile, readAll } from './fetch.js';
import { Fetcher } from './fetcher.js';
import { coreInstance, loadCore, loadTower, sha256, Towers } from './modules.js';
import { LocalRecommender } from './recommender.js';
import { restore } from './restore.js';
import { Shards } from './shards.js';
import { Store } from './store.js';
import type { Info, LoadOptions, Recommender } from './types.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that the core reads. */
const CORE_ROLES = ['items', 'catalog'];
/** Roles of the files that a page fetches. It needs no item tower, because it has the items' rows. */
const PAGE_ROLES = [...CORE_ROLES, 'user_tower'];
const MAX_MANIFEST_BYTES = 64 << 20;

/** Opens the bundle in `folder`, an absolute address that ends in `/`, in this thread: a page, a worker or Node. */
export async function loadLocal(folder: URL, options: LoadOptions): Promise<Recommender> {
  const { worker = false, tower = true } = options;
  // If one file is refused, the fetches of all others end.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const opening = FileCache.open(folder, options.cache ?? true);
  const roles = tower ? PAGE_ROLES : CORE_ROLES;
  const fetched = Promise.all([fetchManifest(folder, opening, roles, signal), loadCore(options.wasm?.core)]);
  const towerModule = tower ? loadTower(options.wasm?.tower) : undefined;
  towerModule?.catch(() => {});
  let created: Core | undefined;
  let shards: Shards | undefined;
  try {
    const [manifest, CoreClass] = await fetched;
    await checkIntegrity(manifest, options.integrity);
    const core = typed(() => new CoreClass(manifest, options.maxBytes));
    created = core;
    const files = typed(() => core.files() as BundleFile[]);
    const items = files.filter((file) => file.role === 'items');
    const { module, memory } = await coreInstance();
    if (worker && typeof Worker !== 'undefined') {
      shards = Shards.open(worker, items, { do: 'open', module, manifest, maxBytes: options.maxBytes });
    }
    const cache = await opening;
    cache.deltas = parsed(manifest).files;
    const wanted = files.filter((file) => roles.includes(file.role));
    const fetcher = new Fetcher(core, memory, shards, cache, wanted, signal, options.onProgress);
    const towers = towerModule && loadTowers(fetcher, towerModule);
    towers?.catch(() => {});
    await Promise.all(files.filter((file) => CORE_ROLES.includes(file.role)).map((file) => fetcher.intoCore(file)));
    typed(() => core.open());
    await shards?.sealed();
    const { store, storageError } = await openStorage(options);
    const restoredLines = store ? await restore(core, store) : 0;
    void Promise.resolve(towers)
      .then(() => cache.prune(files))
      .catch(() => {});
    const golden = async () => readAll(await fetchFile(folder, 'golden.json', {}), 'golden.json', Infinity);
    const info = parsed(manifest);
    return new LocalRecommender({ core, info, towers, store, storageError, restoredLines, golden, shards });
  } catch (error) {
    failed.abort();
    shards?.stop();
    created?.free();
    throw error;
  }
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

async function loadTowers(fetcher: Fetcher, module: Promise<WebAssembly.Module>): Promise<Towers> {
  const shapes = typed(() => fetcher.core.shapes());
  const graph = fetcher.files.find((file) => file.role === 'user_tower');
  const [user, compiled] = await Promise.all([graph ? fetcher.bytes(graph) : new Uint8Array(), module]);
  return new Towers(compiled, { user, shapes });
}

/** The store that the options ask for, or why it could not be opened. */
async function openStorage(options: LoadOptions): Promise<{ store: Store | undefined; storageError: string | undefined }> {
  if (options.storage !== 'indexeddb') return { store: undefined, storageError: undefined };
  try {
    return { store: await Store.open(options.namespace ?? 'default'), storageError: undefined };
  } catch (error) {
    // Private windows and strict settings deny storage; the page still recommends.
    return { store: undefined, storageError: String(error) };
  }
}

async function checkIntegrity(manifest: Uint8Array<ArrayBuffer>, integrity: string | undefined): Promise<void> {
  if (integrity === undefined) return;
  const got = `sha256-${btoa(String.fromCharCode(...(await sha256(manifest))))}`;
  if (got !== integrity) throw new ForetasteError('hash', `manifest.json: expected ${integrity}, got ${got}`, 'manifest.json');
}
