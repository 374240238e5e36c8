// The addresses of the package's own files. Each is spelt out so that bundlers find the file, as an asset and not as a
// script: workers are single files, and no bundler has to read them.

import { refused } from './arguments.js';
import type { Source } from './compile.js';
import { instructionSet } from './instructions.js';

/** The build of the core for this browser. */
export function core(): Source {
  switch (instructionSet()) {
    case 'relaxed':
      return module('core-relaxed', () => new URL('./wasm/core-relaxed.wasm', import.meta.url));
    case 'simd128':
      return module('core-simd128', () => new URL('./wasm/core-simd128.wasm', import.meta.url));
    default:
      return module('core-baseline', () => new URL('./wasm/core-baseline.wasm', import.meta.url));
  }
}

/** The build of the tower's module for this browser. Only the npm package has the build without SIMD. */
export function tower(): Source {
  if (instructionSet() === 'baseline') {
    return module('tower-baseline', () => new URL('./wasm/tower-baseline.wasm', import.meta.url));
  }
  return module('tower', () => new URL('./wasm/tower.wasm', import.meta.url));
}

function module(name: string, url: () => URL): Source {
  return { source: asset(url), bytes: MODULE_BYTES[name] ?? 0 };
}

/**
 * The address of a file of the package. A bundler may leave no address of the script (a classic script has none), and
 * Next gives workers one on the disk, which stands for the page's host. In Node the files do lie on the disk, also
 * where jsdom plays a page.
 */
function asset(url: () => URL): URL {
  try {
    const found = url();
    const { origin } = globalThis.location ?? {};
    const onDisk = (globalThis as { process?: { getBuiltinModule?: unknown } }).process?.getBuiltinModule;
    return found.protocol === 'file:' && !onDisk && origin?.startsWith('http') ? new URL(found.pathname, origin) : found;
  } catch (error) {
    const why = 'the bundler left no address of the package; give `wasm`, build ES modules, or import `foretaste/inline`';
    throw refused('wasm', why, 'missing', error);
  }
}

/** The script of the worker that runs a recommender. */
export const worker = () => asset(() => new URL('./worker.js', import.meta.url));
/** The script of a worker that searches a part of the catalog. */
export const shard = () => asset(() => new URL('./shard.js', import.meta.url));
