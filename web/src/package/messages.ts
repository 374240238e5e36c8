// The messages between a page and its workers: `worker.ts` runs a whole recommender, `shard.ts` searches part of a
// catalog.
import type { Source } from './compile.js';
import type { PlainError } from './errors.js';
import type { Features, LoadOptions } from './types.js';

/**
 * A call to the recommender's worker, by method name. The first call is `load`. `signalAt` is the place of the options
 * that had a signal; `cancel` is the number of a call whose signal was aborted.
 */
export type ToWorker = { id: number; call: string; args: unknown[]; signalAt?: number } | { cancel: number };

/** What the worker cannot find by itself: a bundler knows only the page's addresses. */
export type FromPage = { core: Source | undefined; tower: Source | undefined; shard: string };

/**
 * What the worker sends: the result of a call, or news of its own accord. `here` means that the worker's script runs.
 */
export type FromWorker =
  | { id: number; result?: unknown; error?: PlainError }
  | { news: 'here' }
  | { news: 'progress'; progress: Parameters<NonNullable<LoadOptions['onProgress']>>[0] }
  | { news: 'features'; features: Features };

/** What a search looks for: the `k` best rows for a vector; the arguments of the core's `search`. */
export type Search = { vector: Float32Array; k: number; effort: number; lift: Float32Array; removed: Uint32Array };

/** The rows that a search found, best first. */
export type Found = { rows: Uint32Array; scores: Float32Array };

/**
 * What a shard is told to do. Only `seal` and `search` are answered; if an earlier message failed, the error is the
 * answer to the next of them.
 */
export type ToShard =
  | { do: 'open'; module: WebAssembly.Module; manifest: Uint8Array; maxBytes: number | undefined }
  | { do: 'begin'; path: string }
  | { do: 'append'; path: string; chunk: Uint8Array }
  | { do: 'finish'; path: string; hash: Uint8Array | undefined }
  | { do: 'seal'; id: number }
  | ({ do: 'search'; id: number } & Search);

/** The answer of a shard; `found` for a search. */
export type FromShard = { id: number; found?: Found; error?: string };
