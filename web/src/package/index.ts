/** Recommendations without a server: opens a bundle of static files and recommends on the visitor's device. */
import { core, shard, tower, worker } from './assets.js';
import { loader } from './load.js';
import { towerRuntime } from './towers.js';

export { type ErrorCode, ForetasteError } from './errors.js';
export type * from './types.js';

/**
 * Opens the bundle at `url`, a folder. Resolves once items and catalog are loaded: `similar` and `find` then answer at
 * once, while `recommend` waits for the user tower, which may still be loading (`ready`).
 *
 * Loads of one address with equal options share one open bundle, as long as one of them is not disposed of.
 */
export const load = /* @__PURE__ */ loader({ core, worker, shard, tower: { ...towerRuntime, source: tower } });
