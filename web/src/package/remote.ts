import { ForetasteError, revived, type PlainError } from './errors.js';
import { wasmOf } from './compile.js';
import type { Features, LoadOptions, Recommender, WasmSource } from './types.js';

/** What a worker is told: calls by their name, `load` first of all. */
export type ToWorker = { id: number; call: string; args: unknown[] };

/** What it says: the answer to a call, or news that nobody asked for. */
export type FromWorker =
  | { id: number; result?: unknown; error?: PlainError }
  | { news: 'here' }
  | { news: 'progress'; progress: Parameters<NonNullable<LoadOptions['onProgress']>>[0] }
  | { news: 'features'; features: Features };

/** Methods that answer with a promise, of the recommender and of its profile. */
const CALLS = ['recommend', 'rank', 'search', 'similar', 'find', 'record', 'assign', 'exportLog', 'info', 'replayGolden'] as const;
const PROFILE_CALLS = ['get', 'remove', 'export', 'import', 'clear'] as const;

/** Starts a worker; nothing where none can start. */
async function start(): Promise<Worker | undefined> {
  if (typeof Worker === 'undefined') return undefined;
  try {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'foretaste' });
    return await new Promise((resolve) => {
      worker.onmessage = () => resolve(worker);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(undefined);
      };
    });
  } catch {
    // Scripts of another origin make no workers.
    return undefined;
  }
}

/** Opens the bundle at `url`, an absolute address, in a worker; nothing where no worker can start. */
export async function loadRemote(url: string, options: LoadOptions): Promise<Recommender | undefined> {
  const { signal, onProgress, wasm, ...rest } = options;
  const worker = await start();
  if (!worker) return undefined;
  const waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>();
  let features: Features | undefined;
  let disposed = false;
  let asked = 0;

  const call = (name: string, args: unknown[]): Promise<unknown> => {
    if (disposed) return Promise.reject(new ForetasteError('disposed', 'the recommender was disposed of', 'recommender'));
    const id = asked++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      try {
        worker.postMessage({ id, call: name, args } satisfies ToWorker);
      } catch (error) {
        waiting.delete(id);
        reject(new ForetasteError('argument', `${name}: ${String(error)}`, name, { cause: error }));
      }
    });
  };
  const end = (error: unknown) => {
    disposed = true;
    worker.terminate();
    waiting.forEach(({ reject }) => reject(error));
    waiting.clear();
  };
  worker.onerror = (event) => end(new ForetasteError('model', `the worker failed: ${event.message}`, 'worker'));
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if ('id' in data) {
      const answer = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error) answer?.reject(revived(data.error));
      else answer?.resolve(data.result);
    } else if (data.news === 'progress') onProgress?.(data.progress);
    else if (data.news === 'features') features = data.features;
  };

  const abort = () => end(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    const [core, tower] = await Promise.all([movable(wasm?.core), movable(wasm?.tower)]);
    await call('load', [url, { ...rest, wasm: { ...(core && { core }), ...(tower && { tower }) } } satisfies LoadOptions]);
  } catch (error) {
    end(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  const ready = call('ready', []) as Promise<void>;
  ready.catch(() => {});
  const calls = (names: readonly string[], prefix: string) => Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => call(prefix + name, args)]));
  return {
    ...(calls(CALLS, '') as Pick<Recommender, (typeof CALLS)[number]>),
    profile: calls(PROFILE_CALLS, 'profile.') as unknown as Recommender['profile'],
    ready,
    features: () => structuredClone(features as Features),
    dispose: () => end(new ForetasteError('disposed', 'the recommender was disposed of', 'recommender')),
  };
}

/** A module's source as it can be sent: addresses are of the page, an answer is read here. */
async function movable(source: WasmSource | undefined): Promise<WasmSource | undefined> {
  if (typeof source === 'string') return new URL(source, document.baseURI).href;
  if (source instanceof URL) return source.href;
  return source instanceof Response ? wasmOf(source) : source;
}
