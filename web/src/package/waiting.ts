/** Milliseconds before each further try, give or take a quarter: not all visitors shall come back at once. */
const PAUSES = [300, 1000, 3000];
/** A host that asks to wait for more milliseconds is not asked again. */
const MAX_WAIT = 10_000;

/** The milliseconds that hosts ask to wait, by the errors that a later try may not meet. */
const waits = new WeakMap<object, number>();

/** Marks an error that a later try may not meet. */
export function passing<T extends object>(error: T, wait = 0): T {
  waits.set(error, wait);
  return error;
}

/**
 * The result of `work`, which is tried again after an error that may pass.
 *
 * @throws the reason of the signal
 */
export async function retried<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const [wait, pause] = [waits.get(error as object), PAUSES[attempt]];
      if (wait === undefined || pause === undefined || wait > MAX_WAIT) throw error;
      await sleep(Math.max(wait, pause * (0.75 + Math.random() / 2)), signal);
    }
  }
}

/** Resolves after some milliseconds. Rejects with the reason of the signal, if that comes first. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', abort);
  });
}

/** The error of something that should have answered by now. */
export class NoAnswer extends Error {}

/** The promise, or `NoAnswer` if it does not settle within some milliseconds. */
export function answered<T>(promise: Promise<T>, name: string, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new NoAnswer(`${name} does not answer`)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(late));
  });
}
