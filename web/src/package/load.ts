import { ForetasteError } from './errors.js';
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
  options.signal?.throwIfAborted();
  const folder = folderOf(url);
  const { worker = false } = options;
  if (typeof worker !== 'boolean' && !(Number.isInteger(worker) && worker > 0 && worker <= MAX_WORKERS)) {
    const message = `worker: expected true, false or 1 to ${MAX_WORKERS}, got ${worker}`;
    throw new ForetasteError('range', message, 'options.worker');
  }
  // Only a page starts the worker: code that runs in a worker already recommends there.
  const inPage = typeof document !== 'undefined';
  const remote = worker && inPage ? await loadRemote(folder.href, options) : undefined;
  return remote ?? loadLocal(folder, options);
}

/** The address of the bundle, with a `/` at its end. */
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
