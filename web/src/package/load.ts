import { ForetasteError, typed } from './errors.js';
import { fetchFile } from './fetch.js';
import { loadCore, loadTower, Towers } from './modules.js';
import { Recommender } from './recommender.js';
import { openStore, restore, type Store } from './store.js';
import type { LoadOptions } from './types.js';
import type { Core } from './wasm/core.js';

/** Most bytes of a manifest. */
const MAX_MANIFEST_BYTES = 64 << 20;

type BundleFile = { path: string; role: string; bytes: number };

/**
 * Opens the bundle at `url`, a folder. Resolves when items and catalog are there: `similar` and `find` answer at once, `recommend`
 * waits for the towers, which are still on their way (`ready`).
 */
export async function load(url: string | URL, options: LoadOptions = {}): Promise<Recommender> {
  options.signal?.throwIfAborted();
  if (options.worker) throw new ForetasteError('unsupported', 'a worker is not there yet: load without `worker`', 'options.worker');
  const folder = folderOf(url);
  const CoreClass = await loadCore(options.wasm?.core);
  // One file that is refused ends the fetch of all others.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const manifest = await fetchFile(folder, 'manifest.json', MAX_MANIFEST_BYTES, signal, () => {});
  await checkIntegrity(manifest, options.integrity);
  const core = typed(() => new CoreClass(manifest, options.maxBytes));
  try {
    const files = typed(() => core.files() as BundleFile[]);
    const fetchOne = fetcher(core, folder, { ...options, signal });
    const isGraph = (file: BundleFile) => file.role === 'user_tower' || file.role === 'item_tower' || file.role === 'ranker';
    await Promise.all(files.filter((file) => !isGraph(file)).map(fetchOne));
    typed(() => core.open());
    const towers = loadTowers(files.filter(isGraph), folder, manifest, options);
    towers.catch(() => {});
    const { store, storageError } = await openStorage(options);
    if (store) await restore(core, store);
    return new Recommender({ core, towers, store, storageError });
  } catch (error) {
    failed.abort();
    core.free();
    throw error;
  }
}

function folderOf(url: string | URL): URL {
  const base = typeof document === 'undefined' ? undefined : document.baseURI;
  try {
    const folder = new URL(url, base);
    if (!folder.pathname.endsWith('/')) folder.pathname += '/';
    return folder;
  } catch (error) {
    throw new ForetasteError('argument', `\`${String(url)}\` is no address`, 'url', { cause: error });
  }
}

/** Fetches files into the core, with the progress of all of them together. */
function fetcher(core: Core, folder: URL, { signal, onProgress }: LoadOptions): (file: BundleFile) => Promise<void> {
  const total = core.totalBytes();
  let loaded = 0;
  return async (file) => {
    const bytes = await fetchFile(folder, file.path, file.bytes, signal, (count) => {
      loaded += count;
      if (!signal?.aborted) onProgress?.({ loaded, total });
    });
    signal?.throwIfAborted();
    typed(() => core.addFile(file.path, bytes));
  };
}

async function loadTowers(graphs: BundleFile[], folder: URL, manifest: Uint8Array, options: LoadOptions): Promise<Towers> {
  const CoreClass = await loadCore();
  const files = { user: new Uint8Array(), item: new Uint8Array(), manifest };
  const checker = typed(() => new CoreClass(manifest, options.maxBytes));
  try {
    const module = loadTower(options.wasm?.tower);
    module.catch(() => {});
    for (const graph of graphs) {
      const bytes = await fetchFile(folder, graph.path, graph.bytes, options.signal, () => {});
      typed(() => checker.addFile(graph.path, bytes));
      if (graph.role === 'user_tower') files.user = bytes;
      if (graph.role === 'item_tower') files.item = bytes;
    }
    return new Towers(await module, files);
  } finally {
    checker.free();
  }
}

async function openStorage(options: LoadOptions): Promise<{ store: Store | undefined; storageError: string | undefined }> {
  if (options.storage !== 'indexeddb') return { store: undefined, storageError: undefined };
  try {
    return { store: await openStore(options.namespace ?? 'default'), storageError: undefined };
  } catch (error) {
    // Private windows and strict settings deny storage: the page still recommends.
    return { store: undefined, storageError: String(error) };
  }
}

async function checkIntegrity(manifest: Uint8Array<ArrayBuffer>, integrity: string | undefined): Promise<void> {
  if (integrity === undefined) return;
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', manifest));
  const got = `sha256-${btoa(String.fromCharCode(...digest))}`;
  if (got !== integrity) throw new ForetasteError('hash', `manifest.json: expected ${integrity}, got ${got}`, 'manifest.json');
}
