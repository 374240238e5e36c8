/** The package without user towers: for pages that show popular and similar items or have vectors of their own. */
import { core, shard, worker } from './assets.js';
import { loader } from './load.js';

export { type ErrorCode, ForetasteError } from './errors.js';
export type * from './types.js';

/** `load` of the entry `foretaste` with `tower: false`. */
export const load = /* @__PURE__ */ loader({ core, worker, shard });
