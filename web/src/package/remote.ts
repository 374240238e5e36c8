import { members, reading, refused, takeSignal, until } from './arguments.js';
import { compileWasm, type Source } from './compile.js';
import type { Entry, Opened } from './entry.js';
import { disposed, ForetasteError, fromPlain, known, said } from './errors.js';
import { bareFields } from './items.js';
import type { FromPage, FromWorker, ToWorker } from './messages.js';
import { METHODS, PROFILE_METHODS } from './shared.js';
import type { Features, Item, LoadOptions, Slate, WasmSource } from './types.js';
import { sleep } from './waiting.js';

/** Milliseconds after which a worker that says nothing is given up. */
const PATIENCE = 10_000;
/** Errors of the worker: the page itself may do better. It would meet all others, too, unless they are of a module. */
const OF_WORKERS = ['malformed', 'blocked', 'model', 'trap'];
/** Methods whose options may have a signal, with the place of the options. */
const WITH_SIGNAL: Record<string, number> = { recommend: 0, rank: 1, featureValues: 1, search: 1, similar: 1, find: 1 };

/** Methods that erase what is on the device. */
const ERASING = ['setConsent', 'profile.clear'];

/** Starts a worker. Rejects if the page may not, as under a strict policy, or if the script is not there. */
async function startWorker(script: () => URL): Promise<Worker> {
  if (typeof Worker === 'undefined') throw new Error('this environment has no workers');
  // A script of another origin cannot start workers: the constructor throws.
  const worker = new Worker(script(), { type: 'module', name: 'foretaste' });
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('the worker does not start')), PATIENCE);
    worker.onmessage = () => {
      clearTimeout(late);
      resolve();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      clearTimeout(late);
      reject(new Error(`the worker cannot start: ${event.message ?? 'its script cannot be loaded'}`));
    };
  }).catch((error: unknown) => {
    worker.terminate();
    throw error;
  });
  return worker;
}

/**
 * Opens the bundle in a worker, or says why the page has to do it.
 *
 * `gone` is called if the worker fails later.
 *
 * @throws what the page would meet too: a faulty bundle, the reason of the signal
 */
export async function loadRemote(
  folder: URL,
  options: LoadOptions,
  entry: Entry,
  gone: () => void,
): Promise<{ recommender?: Opened; why?: string }> {
  try {
    return { recommender: await inWorker(await startWorker(entry.worker), folder, options, entry, gone) };
  } catch (error) {
    options.signal?.throwIfAborted();
    const { code, part } = known(error) ?? {};
    if (code && !OF_WORKERS.includes(code) && !part?.includes('wasm')) throw error;
    return { why: said(error instanceof Error ? error.message : error) };
  }
}

async function inWorker(worker: Worker, folder: URL, options: LoadOptions, entry: Entry, gone: () => void): Promise<Opened> {
  const { signal, onProgress, wasm, ...rest } = options;
  const pending = new Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>();
  let features: Features | undefined;
  /** Why there is no worker any more. */
  let ended: unknown;
  /** Calls that erase, which a `dispose` must not cut off. */
  const erasing = new Set<Promise<unknown>>();
  let nextId = 0;

  const call = (method: string, args: unknown[], signal?: AbortSignal, signalAt = 0): Promise<unknown> => {
    if (ended !== undefined) return Promise.reject(ended);
    const id = nextId++;
    const answer = new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      try {
        worker.postMessage({ id, call: method, args, ...(signal && { signalAt }) } satisfies ToWorker);
      } catch (error) {
        pending.delete(id);
        reject(refused(method, said(error), 'argument', error));
      }
    });
    const cancel = () => worker.postMessage({ cancel: id } satisfies ToWorker);
    signal?.addEventListener('abort', cancel);
    const settled = answer.finally(() => signal?.removeEventListener('abort', cancel)).catch(() => {});
    if (ERASING.includes(method)) erasing.add(settled.finally(() => erasing.delete(settled)));
    return until(signal, answer);
  };
  /** A call whose options may have a signal. */
  const method = async (name: string, args: unknown[]): Promise<unknown> => {
    const place = WITH_SIGNAL[name] ?? args.length;
    const options: unknown = args[place];
    if (!reading(name, () => typeof options === 'object' && options !== null && 'signal' in options)) return call(name, args);
    const given = members(options, name);
    const signal = takeSignal(given, name);
    args[place] = given;
    return call(name, args, signal, place);
  };
  const end = (error: unknown) => {
    ended = error;
    worker.terminate();
    pending.forEach(({ reject }) => reject(error));
    pending.clear();
  };
  const dispose = async () => {
    ended = disposed();
    await Promise.race([Promise.all(erasing), sleep(PATIENCE)]);
    end(ended);
  };
  worker.onerror = (event) => {
    end(new ForetasteError('model', `the worker failed: ${event.message}`, 'worker'));
    gone();
  };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if ('id' in data) {
      const caller = pending.get(data.id);
      pending.delete(data.id);
      if (data.error) caller?.reject(fromPlain(data.error));
      else caller?.resolve(bareResult(data.result));
    } else if (data.news === 'progress') onProgress?.(data.progress);
    else if (data.news === 'features') features = data.features;
  };

  const abort = () => end(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    const towerless = rest.tower === false || !entry.tower;
    const [core, tower] = await Promise.all([
      sendable(wasm?.core, entry.core),
      towerless ? undefined : sendable(wasm?.tower, entry.tower?.source),
    ]);
    const given = { ...rest, tower: !towerless };
    await call('load', [folder.href, given, { core, tower, shard: entry.shard().href } satisfies FromPage]);
  } catch (error) {
    end(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  const ready = call('ready', []) as Promise<void>;
  ready.catch(() => {});
  const methods = (names: readonly string[], prefix: string) =>
    Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => method(prefix + name, args)]));
  return {
    ...(methods(METHODS, '') as Pick<Opened, (typeof METHODS)[number]>),
    profile: methods(PROFILE_METHODS, 'profile.') as unknown as Opened['profile'],
    ready,
    features: () => structuredClone(features as Features),
    dispose: () => void (erasing.size > 0 ? dispose() : end(disposed())),
  };
}

/** A worker's result: a message gives the fields of items a prototype. */
function bareResult(result: unknown): unknown {
  const items = (result as Slate | undefined)?.items ?? result;
  if (Array.isArray(items) && (items[0] as Item | undefined)?.fields) bareFields(items as Item[]);
  return result;
}

/** A module's source in a form that can be sent: addresses become absolute, a response is compiled here. */
async function sendable(given: WasmSource | undefined, own: (() => Source) | undefined): Promise<Source | undefined> {
  const { source, bytes } = given === undefined ? (own?.() ?? {}) : { source: given, bytes: 0 };
  if (source === undefined || bytes === undefined) return undefined;
  if (typeof source === 'string') return { source: new URL(source, document.baseURI).href, bytes };
  if (source instanceof URL) return { source: source.href, bytes };
  return { source: source instanceof Response ? await compileWasm(source) : source, bytes };
}
