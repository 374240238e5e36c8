import { ForetasteError, typed } from './errors.js';
import { FileCache, type BundleFile } from './cache.js';
import { ask, readAll, stream } from './fetch.js';
import { loadCore, loadTower, Towers } from './modules.js';
import { Recommender } from './recommender.js';
import { openStore, restore, type Store } from './store.js';
import type { Info, LoadOptions } from './types.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that a page reads. Nothing in it asks for an item tower: the rows are there. */
const NEEDED = ['items', 'catalog', 'user_tower'];
/** Most bytes of a manifest. */
const MAX_MANIFEST_BYTES = 64 << 20;

/**
 * Opens the bundle at `url`, a folder. Resolves when items and catalog are there: `similar` and `find` answer at once, `recommend`
 * waits for the towers, which are still on their way (`ready`).
 */
export async function load(url: string | URL, options: LoadOptions = {}): Promise<Recommender> {
  options.signal?.throwIfAborted();
  if (options.worker) throw new ForetasteError('unsupported', 'a worker is not there yet: load without `worker`', 'options.worker');
  const folder = folderOf(url);
  // One file that is refused ends the fetch of all others.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const coming = Promise.all([fetchManifest(folder, options.integrity, signal), loadCore(options.wasm?.core)]);
  let core: Core | undefined;
  try {
    const [manifest, CoreClass] = await coming;
    const opening = typed(() => new CoreClass(manifest, options.maxBytes));
    core = opening;
    const files = typed(() => opening.files() as BundleFile[]);
    const cache = await FileCache.open(folder, options.cache ?? true);
    const fetcher = new Fetcher(opening, cache, files.filter((file) => NEEDED.includes(file.role)), signal, options.onProgress);
    const towers = loadTowers(fetcher, options);
    towers.catch(() => {});
    await Promise.all(files.filter((file) => file.role === 'items' || file.role === 'catalog').map((file) => fetcher.intoCore(file)));
    typed(() => opening.open());
    const { store, storageError } = await openStorage(options);
    if (store) await restore(opening, store);
    void towers.then(() => cache.prune(files)).catch(() => {});
    const golden = async () => readAll(await ask(folder, 'golden.json', {}), 'golden.json', Infinity);
    const info = JSON.parse(new TextDecoder().decode(manifest)) as Info;
    return new Recommender({ core: opening, info, towers, store, storageError, golden });
  } catch (error) {
    failed.abort();
    core?.free();
    throw error;
  }
}

async function fetchManifest(folder: URL, integrity: string | undefined, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = await readAll(await ask(folder, 'manifest.json', { signal }), 'manifest.json', MAX_MANIFEST_BYTES);
  await checkIntegrity(manifest, integrity);
  return manifest;
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

/** Fetches the files of a bundle, with the progress of all of them together. */
class Fetcher {
  private loaded = 0;
  private readonly total: number;
  private readonly memory: number;

  constructor(
    readonly core: Core,
    private readonly cache: FileCache,
    readonly files: BundleFile[],
    private readonly signal: AbortSignal,
    private readonly onProgress: LoadOptions['onProgress'],
  ) {
    this.total = files.reduce((sum, file) => sum + file.bytes, 0);
    this.memory = typed(() => core.memory());
    this.count(0);
  }

  private count(bytes: number): void {
    this.loaded += bytes;
    if (!this.signal.aborted) this.onProgress?.({ loaded: this.loaded, total: this.total, memory: this.memory });
  }

  /** Streams a file straight into the memory of the core, which checks it while it arrives. */
  intoCore(file: BundleFile): Promise<void> {
    const { core } = this;
    return this.whole(file, 'auto', async (response, take) => {
      typed(() => core.begin(file.path));
      await stream(response, file.path, file.bytes, (chunk) => {
        this.signal.throwIfAborted();
        typed(() => core.append(file.path, chunk));
        take(chunk);
      });
      this.signal.throwIfAborted();
      typed(() => core.finish(file.path));
    });
  }

  /** A file that the core checks and does not keep. */
  bytes(file: BundleFile): Promise<Uint8Array<ArrayBuffer>> {
    const { core } = this;
    return this.whole(file, 'low', async (response, take) => {
      const bytes = await readAll(response, file.path, file.bytes, take);
      this.signal.throwIfAborted();
      typed(() => core.check(file.path, bytes));
      return bytes;
    });
  }

  private whole<T>(file: BundleFile, priority: RequestPriority, use: (response: Response, take: (chunk: Uint8Array) => void) => Promise<T>): Promise<T> {
    return this.cache.with(file, { signal: this.signal, priority }, async (response) => {
      let here = 0;
      try {
        return await use(response, (chunk) => {
          here += chunk.length;
          this.count(chunk.length);
        });
      } catch (error) {
        this.count(-here);
        throw error;
      }
    });
  }
}

async function loadTowers(fetcher: Fetcher, options: LoadOptions): Promise<Towers> {
  const module = loadTower(options.wasm?.tower);
  module.catch(() => {});
  const shapes = typed(() => fetcher.core.shapes());
  const graph = fetcher.files.find((file) => file.role === 'user_tower');
  const [user, compiled] = await Promise.all([graph ? fetcher.bytes(graph) : new Uint8Array(), module]);
  return new Towers(compiled, { user, shapes });
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
