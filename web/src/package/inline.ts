/** The package with its modules in the script, for hosts that cannot serve `.wasm` files. */

import core from 'inline:core-simd128';
import tower from 'inline:tower';
import { shard, worker } from './assets.js';
import type { Source } from './compile.js';
import { ForetasteError } from './errors.js';
import { instructionSet } from './instructions.js';
import { loader } from './load.js';
import { towerRuntime } from './towers.js';

export { type ErrorCode, ForetasteError } from './errors.js';
export type * from './types.js';

/** A module from the text that the build made of it: gzip in base64. */
function unpacked(text: string): Source {
  if (instructionSet() === 'baseline') {
    throw new ForetasteError('missing', 'the inline modules need SIMD; the entry `foretaste` has others', 'wasm');
  }
  const packed = new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  const stream = packed.stream().pipeThrough(new DecompressionStream('gzip'));
  return { source: new Response(stream, { headers: { 'content-type': 'application/wasm' } }), bytes: 0 };
}

/** `load` of the entry `foretaste`. */
export const load = /* @__PURE__ */ loader({
  core: () => unpacked(core),
  worker,
  shard,
  tower: { ...towerRuntime, source: () => unpacked(tower) },
});
