import type { Entry, Opened } from './entry.js';
import { loadLocal } from './local.js';
import { folderOf, optionsOf } from './options.js';
import { loadRemote } from './remote.js';
import { Shared } from './shared.js';
import type { LoadOptions, Recommender, WasmSource } from './types.js';

/** `load` of an entry; see `index.ts`. */
export function loader(entry: Entry): (url: string | URL, options?: LoadOptions) => Promise<Recommender> {
  /** Bundles that are open or being opened, by what asked for them. */
  const open = new Map<string, Shared>();
  return async (url, options = {}) => {
    const { signal, onProgress, ...asked } = optionsOf(options);
    signal?.throwIfAborted();
    const folder = folderOf(url);
    const key = keyOf(folder, asked);
    let shared = open.get(key);
    if (!shared) {
      const made: Shared = new Shared(
        (options) => start(folder, { ...asked, ...options }, entry, () => gone()),
        () => gone(),
      );
      const gone = () => open.get(key) === made && open.delete(key);
      open.set(key, made);
      shared = made;
    }
    return shared.hold(signal, onProgress);
  };
}

async function start(folder: URL, options: LoadOptions, entry: Entry, gone: () => void): Promise<Opened> {
  // Only a page starts the worker: code that runs in a worker already recommends there.
  if (!options.worker || typeof document === 'undefined') return loadLocal(folder, options, entry);
  const { recommender, why } = await loadRemote(folder, options, entry, gone);
  return recommender ?? loadLocal(folder, options, entry, why);
}

/** Numbers of sources of modules that are objects. */
const numbers = new WeakMap<object, number>();
let nextNumber = 0;

function numbered(source: WasmSource | undefined): unknown {
  if (source === undefined || typeof source === 'string') return source;
  if (source instanceof URL) return source.href;
  if (!numbers.has(source)) numbers.set(source, nextNumber++);
  return numbers.get(source);
}

/** Equal for loads that can share a bundle. */
function keyOf({ href }: URL, options: Omit<LoadOptions, 'signal' | 'onProgress'>): string {
  const {
    cache = true,
    integrity,
    maxBytes,
    storage = 'memory',
    namespace = 'default',
    tower = true,
    worker = false,
    consent = {},
    wasm,
  } = options;
  const modules = [wasm?.core, wasm?.tower].map(numbered);
  const allowed = [consent.storage ?? true, consent.profiling ?? true];
  return JSON.stringify([href, cache, integrity, maxBytes, storage, namespace, tower, worker, allowed, modules]);
}
