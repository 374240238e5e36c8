/**
 * The package as one script, its modules and workers in it: for hosts that cannot serve `.wasm`, and for tools that
 * copy no files.
 */

import core from 'inline:core-simd128';
import shard from 'inline:shard.js';
import tower from 'inline:tower';
import worker from 'inline:worker.js';
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

/** The address of a worker's script, made at its first use. A strict policy refuses it; then the page does the work. */
function script(text: string): () => URL {
  let url: URL | undefined;
  return () => {
    url ??= new URL(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
    return url;
  };
}

/** `load` of the entry `foretaste`. */
export const load = /* @__PURE__ */ loader({
  core: () => unpacked(core),
  worker: /* @__PURE__ */ script(worker),
  shard: /* @__PURE__ */ script(shard),
  tower: { ...towerRuntime, source: () => unpacked(tower) },
});
