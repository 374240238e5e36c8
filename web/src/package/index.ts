/** Recommendations without a server: opens a bundle of static files and recommends on the visitor's device. */
// What these need in turn: named here, so that a browser asks for all of it at once and not level by level.
import './cache.js';
import './compile.js';
import './fetch.js';
import './modules.js';
import './store.js';
import './wasm/core.js';
import './wasm/tower.js';

export { ForetasteError, type ErrorCode } from './errors.js';
export { load } from './load.js';
export type { Profile, Recommender } from './recommender.js';
export type {
  Event,
  Explore,
  Features,
  Info,
  Item,
  KeptEvent,
  LoadOptions,
  Request,
  Slate,
  Timings,
  Value,
  WasmSource,
} from './types.js';
