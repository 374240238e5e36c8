/** Recommendations without a server: opens a bundle of static files and recommends on the visitor's device. */
export { type ErrorCode, ForetasteError } from './errors.js';
export { load } from './load.js';
export type {
  Event,
  Experiment,
  Explore,
  Features,
  Info,
  Item,
  KeptEvent,
  LoadOptions,
  Profile,
  Recommender,
  Request,
  Slate,
  Timings,
  Value,
  WasmSource,
} from './types.js';
