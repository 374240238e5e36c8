import type { Entry, Opened } from './entry.js';
import { Erasures } from './erasing.js';
import { loadLocal } from './local.js';
import { folderOf, optionsOf } from './options.js';
import { loadRemote } from './remote.js';
import { Shared } from './shared.js';
import type { Consent, LoadOptions, Recommender, WasmSource } from './types.js';

/** `load` of an entry; see `index.ts`. */
export function loader(entry: Entry): (url: string | URL, options?: LoadOptions) => Promise<Recommender> {
  /** Bundles that are open or being opened, by what asked for them. */
  const open = new Map<string, Shared>();
  return async (url, options = {}) => {
    const { signal, onProgress, ...asked } = optionsOf(options);
    signal?.throwIfAborted();
    const folder = folderOf(url);
    let key = keyOf(folder, asked);
    const shared = open.get(key);
    if (shared) return shared.hold(signal, onProgress);
    let { storage = true, profiling = true } = asked.consent ?? {};
    const gone = () => open.get(key) === made && open.delete(key);
    /** Consent that was given counts: whoever loads with less gets a bundle that keeps to that. */
    const changed = (change: Consent) => {
      storage ||= !!change.storage;
      profiling ||= !!change.profiling;
      if (!gone()) return;
      key = keyOf(folder, { ...asked, consent: { storage, profiling } });
      open.set(key, made);
    };
    const erasures = new Erasures(asked, changed);
    const opening = async (options: LoadOptions) => start(folder, { ...(await erasures.finish()), ...options }, entry, gone);
    const made: Shared = new Shared(opening, erasures, gone);
    open.set(key, made);
    return made.hold(signal, onProgress);
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
