import { refused } from './arguments.js';
import { compileWasm } from './compile.js';
import { disposed, ForetasteError, fromPlain, said } from './errors.js';
import { bareFields } from './items.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { Features, Item, LoadOptions, Recommender, Slate, WasmSource } from './types.js';

/** The methods of a recommender that return promises, and those of its profile. */
const METHODS = [
  'recommend',
  'rank',
  'search',
  'similar',
  'find',
  'record',
  'assign',
  'exportLog',
  'info',
  'replayGolden',
] as const;
const PROFILE_METHODS = ['get', 'remove', 'export', 'import', 'clear'] as const;

/** Starts a worker; undefined if the page may not, as under a strict Content-Security-Policy. */
async function startWorker(): Promise<Worker | undefined> {
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
    // A script of another origin cannot start workers.
    return undefined;
  }
}

/** Opens the bundle at `url`, an absolute address, in a worker; undefined if no worker can start. */
export async function loadRemote(url: string, options: LoadOptions): Promise<Recommender | undefined> {
  const { signal, onProgress, wasm, ...rest } = options;
  const worker = await startWorker();
  if (!worker) return undefined;
  const pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>();
  let features: Features | undefined;
  let ended = false;
  let nextId = 0;

  const call = (method: string, args: unknown[]): Promise<unknown> => {
    if (ended) return Promise.reject(disposed());
    const id = nextId++;
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      try {
        worker.postMessage({ id, call: method, args } satisfies ToWorker);
      } catch (error) {
        pending.delete(id);
        reject(refused(method, said(error), 'argument', error));
      }
    });
  };
  const end = (error: unknown) => {
    ended = true;
    worker.terminate();
    pending.forEach(({ reject }) => reject(error));
    pending.clear();
  };
  worker.onerror = (event) => end(new ForetasteError('model', `the worker failed: ${event.message}`, 'worker'));
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if ('id' in data) {
      const caller = pending.get(data.id);
      pending.delete(data.id);
      if (data.error) caller?.reject(fromPlain(data.error));
      else caller?.resolve(bareResult(data.result));
    } else if (data.news === 'progress') report(data.progress);
    else if (data.news === 'features') features = data.features;
  };

  const report: NonNullable<typeof onProgress> = (progress) => {
    try {
      onProgress?.(progress);
    } catch (error) {
      end(refused('options.onProgress', said(error), 'argument', error));
    }
  };
  const abort = () => end(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    const [core, tower] = await Promise.all([sendable(wasm?.core), sendable(wasm?.tower)]);
    const modules = { ...(core && { core }), ...(tower && { tower }) };
    await call('load', [url, { ...rest, wasm: modules } satisfies LoadOptions]);
  } catch (error) {
    end(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  const ready = call('ready', []) as Promise<void>;
  ready.catch(() => {});
  const methods = (names: readonly string[], prefix: string) =>
    Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => call(prefix + name, args)]));
  return {
    ...(methods(METHODS, '') as Pick<Recommender, (typeof METHODS)[number]>),
    profile: methods(PROFILE_METHODS, 'profile.') as unknown as Recommender['profile'],
    ready,
    features: () => structuredClone(features as Features),
    dispose: () => end(disposed()),
  };
}

/** A worker's result: a message gives the fields of items a prototype. */
function bareResult(result: unknown): unknown {
  const items = (result as Slate | undefined)?.items ?? result;
  if (Array.isArray(items) && (items[0] as Item | undefined)?.fields) bareFields(items as Item[]);
  return result;
}

/** A module's source in a form that can be sent: addresses become absolute, a response is compiled here. */
async function sendable(source: WasmSource | undefined): Promise<WasmSource | undefined> {
  if (typeof source === 'string') return new URL(source, document.baseURI).href;
  if (source instanceof URL) return source.href;
  return source instanceof Response ? compileWasm(source) : source;
}
