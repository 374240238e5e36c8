import { members, refused } from './arguments.js';
import { said } from './errors.js';
import { loadLocal } from './local.js';
import { loadRemote } from './remote.js';
import type { LoadOptions, Recommender } from './types.js';

/** Most workers of one catalog. */
const MAX_WORKERS = 64;

/**
 * Opens the bundle at `url`, a folder. Resolves once items and catalog are loaded: `similar` and `find` then answer at
 * once, while `recommend` waits for the user tower, which may still be loading (`ready`).
 */
export async function load(url: string | URL, options: LoadOptions = {}): Promise<Recommender> {
  const checked = optionsOf(options);
  checked.signal?.throwIfAborted();
  const folder = folderOf(url);
  const { worker = false } = checked;
  // Only a page starts the worker: code that runs in a worker already recommends there.
  const inPage = typeof document !== 'undefined';
  const remote = worker && inPage ? await loadRemote(folder.href, checked) : undefined;
  return remote ?? loadLocal(folder, checked);
}

/** The types of some options. */
const TYPES = {
  onProgress: 'function',
  cache: 'boolean',
  integrity: 'string',
  maxBytes: 'number',
  namespace: 'string',
  tower: 'boolean',
  wasm: 'object',
  signal: 'object',
} as const;

/** A checked copy of the options. */
function optionsOf(options: LoadOptions): LoadOptions {
  const given = members(options, 'options') as LoadOptions;
  for (const [name, type] of Object.entries(TYPES)) {
    const value: unknown = given[name as keyof typeof TYPES];
    if (value !== undefined && (typeof value !== type || value === null)) {
      throw refused(`options.${name}`, `expected a ${type}, got ${value === null ? 'null' : typeof value}`);
    }
  }
  const { worker = false, maxBytes = 0, storage = 'memory' } = given;
  if (typeof worker !== 'boolean' && !(Number.isInteger(worker) && worker > 0 && worker <= MAX_WORKERS)) {
    throw refused('options.worker', `expected true, false or 1 to ${MAX_WORKERS}, got ${said(worker)}`, 'range');
  }
  if (!(maxBytes >= 0)) throw refused('options.maxBytes', `expected 0 or more, got ${maxBytes}`, 'range');
  if (storage !== 'memory' && storage !== 'indexeddb') {
    throw refused('options.storage', `expected memory or indexeddb, got ${said(storage)}`);
  }
  return given;
}

/** The address of the bundle, with a `/` at its end. */
function folderOf(url: string | URL): URL {
  const base = typeof document === 'undefined' ? undefined : document.baseURI;
  try {
    const folder = new URL(url, base);
    if (!folder.pathname.endsWith('/')) folder.pathname += '/';
    // An address such as `data:,x` is no folder.
    return new URL('.', folder);
  } catch (error) {
    throw refused('url', `\`${said(url)}\` is no address`, 'argument', error);
  }
}
