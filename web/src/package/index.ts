/** Recommendations without a server: opens a bundle of static files and recommends on the visitor's device. */
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
