import { ForetasteError, typed } from './errors.js';
import { FileCache } from './cache.js';
import { ask, readAll, stream, type BundleFile } from './fetch.js';
import { coreInstance, loadCore, loadTower, sha256, Towers } from './modules.js';
import { LocalRecommender } from './recommender.js';
import { loadRemote } from './remote.js';
import { Shards } from './shards.js';
import { openStore, restore, type Store } from './store.js';
import type { Info, LoadOptions, Recommender } from './types.js';
import type { Core } from './wasm/core.js';

/** Roles of the files that the core reads. */
const OF_CORE = ['items', 'catalog'];
/** And of those that a page reads. Nothing in it asks for an item tower: the rows are there. */
const OF_PAGE = [...OF_CORE, 'user_tower'];
/** Most workers of one catalog. */
const MAX_WORKERS = 64;
/** Most bytes of a manifest. */
const MAX_MANIFEST_BYTES = 64 << 20;

/**
 * Opens the bundle at `url`, a folder. Resolves when items and catalog are there: `similar` and `find` answer at once, `recommend`
 * waits for the towers, which are still on their way (`ready`).
 */
export async function load(url: string | URL, options: LoadOptions = {}): Promise<Recommender> {
  options.signal?.throwIfAborted();
  const folder = folderOf(url);
  const { worker = false, tower = true } = options;
  if (typeof worker !== 'boolean' && !(Number.isInteger(worker) && worker > 0 && worker <= MAX_WORKERS)) {
    throw new ForetasteError('range', `worker: expected true, false or 1 to ${MAX_WORKERS}, got ${worker}`, 'options.worker');
  }
  // A worker loads as a page does, without a page.
  const inPage = typeof document !== 'undefined';
  if (worker && inPage) {
    const remote = await loadRemote(folder.href, options);
    if (remote) return remote;
  }
  // One file that is refused ends the fetch of all others.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const kept = FileCache.open(folder, options.cache ?? true);
  const roles = tower ? OF_PAGE : OF_CORE;
  const coming = Promise.all([fetchManifest(folder, kept, roles, signal), loadCore(options.wasm?.core)]);
  const towerModule = tower ? loadTower(options.wasm?.tower) : undefined;
  towerModule?.catch(() => {});
  let core: Core | undefined;
  let shards: Shards | undefined;
  try {
    const [manifest, CoreClass] = await coming;
    await checkIntegrity(manifest, options.integrity);
    const opening = typed(() => new CoreClass(manifest, options.maxBytes));
    core = opening;
    const files = typed(() => opening.files() as BundleFile[]);
    const items = files.filter((file) => file.role === 'items');
    const { module, memory } = await coreInstance();
    if (worker && typeof Worker !== 'undefined') {
      shards = Shards.open(worker, items, { do: 'open', module, manifest, maxBytes: options.maxBytes });
    }
    const cache = await kept;
    cache.deltas = parsed(manifest).files;
    const fetcher = new Fetcher(opening, memory, shards, cache, files.filter((file) => roles.includes(file.role)), signal, options.onProgress);
    const towers = towerModule && loadTowers(fetcher, towerModule);
    towers?.catch(() => {});
    await Promise.all(files.filter((file) => OF_CORE.includes(file.role)).map((file) => fetcher.intoCore(file)));
    typed(() => opening.open());
    await shards?.sealed();
    const { store, storageError } = await openStorage(options);
    if (store) await restore(opening, store);
    void Promise.resolve(towers).then(() => cache.prune(files)).catch(() => {});
    const golden = async () => readAll(await ask(folder, 'golden.json', {}), 'golden.json', Infinity);
    const info = parsed(manifest);
    return new LocalRecommender({ core: opening, info, towers, store, storageError, golden, shards });
  } catch (error) {
    failed.abort();
    shards?.stop();
    core?.free();
    throw error;
  }
}

/** The manifest, as it is. What this device has of its files is looked for at once; nothing is asked of the host before the core has checked it. */
async function fetchManifest(folder: URL, kept: Promise<FileCache>, roles: string[], signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const manifest = await readAll(await ask(folder, 'manifest.json', { signal }), 'manifest.json', MAX_MANIFEST_BYTES);
  void kept.then((cache) => cache.look(parsed(manifest).files.filter((file) => roles.includes(file.role)))).catch(() => {});
  return manifest;
}

function parsed(manifest: Uint8Array): Info & { files: BundleFile[] } {
  return JSON.parse(new TextDecoder().decode(manifest)) as Info & { files: BundleFile[] };
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
    private readonly inCore: WebAssembly.Memory,
    private readonly shards: Shards | undefined,
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

  /** Streams a file straight into the memory of the core, which checks it while it arrives, and into that of its shard. */
  intoCore(file: BundleFile): Promise<void> {
    const { core, shards } = this;
    const { path } = file;
    return this.whole(file, 'auto', async (response, take) => {
      typed(() => core.begin(path));
      shards?.tell({ do: 'begin', path });
      await stream(response, path, file.bytes, (chunk) => {
        this.signal.throwIfAborted();
        typed(() => core.append(path, chunk));
        shards?.tell({ do: 'append', path, chunk });
        take(chunk);
      });
      this.signal.throwIfAborted();
      const [start = 0, length = 0] = typed(() => core.place(path));
      const hash = await sha256(new Uint8Array(this.inCore.buffer as ArrayBuffer, start, length));
      this.signal.throwIfAborted();
      typed(() => core.finish(path, hash));
      shards?.tell({ do: 'finish', path, hash });
    });
  }

  /** A file that the core checks and does not keep. */
  bytes(file: BundleFile): Promise<Uint8Array<ArrayBuffer>> {
    const { core } = this;
    return this.whole(file, 'low', async (response, take) => {
      const bytes = await readAll(response, file.path, file.bytes, take);
      const hash = await sha256(bytes);
      this.signal.throwIfAborted();
      typed(() => core.check(file.path, bytes.length, hash));
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

async function loadTowers(fetcher: Fetcher, module: Promise<WebAssembly.Module>): Promise<Towers> {
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
  const got = `sha256-${btoa(String.fromCharCode(...(await sha256(manifest))))}`;
  if (got !== integrity) throw new ForetasteError('hash', `manifest.json: expected ${integrity}, got ${got}`, 'manifest.json');
}
