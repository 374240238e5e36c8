/** Stable names of what can go wrong. Codes of bundles and arguments come from the core. */
export type ErrorCode =
  | 'missing'
  | 'length'
  | 'hash'
  | 'too-new'
  | 'unknown-key'
  | 'unknown-feature'
  | 'malformed'
  | 'range'
  | 'limit'
  | 'memory'
  | 'path'
  | 'unknown-item'
  | 'argument'
  | 'no-model'
  | 'model'
  | 'trap'
  | 'network'
  | 'redirect'
  | 'changed'
  | 'blocked'
  | 'storage'
  | 'disposed';

/** The class of every error of this package, except aborts: those are the reason of the signal. */
export class ForetasteError extends Error {
  override readonly name = 'ForetasteError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** The part at fault: a file of the bundle, a key, an argument. */
    readonly part: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An error in words. A page may throw anything, and not everything can be printed. */
export function said(error: unknown): string {
  try {
    return String(error);
  } catch {
    return typeof error;
  }
}

/** What the core or the tower says is wrong; undefined if they did not say it. */
export function known(error: unknown): ForetasteError | undefined {
  if (error instanceof ForetasteError) return error;
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined;
  const part = 'part' in error && typeof error.part === 'string' ? error.part : '';
  return new ForetasteError(error.code as ErrorCode, error.message, part, { cause: error });
}

/** The result of a call to the core; undefined if something is wrong with its argument. */
export function allowed<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (known(error)) return undefined;
    throw error;
  }
}

/** The error of every call after `dispose`. */
export function disposed(): ForetasteError {
  return new ForetasteError('disposed', 'the recommender was disposed of', 'recommender');
}

/** An error as a worker sends it: the structured clone of an `Error` would lose `code` and `part`. */
export type PlainError = { name: string; message: string; code?: string; part?: string };

/** Converts an error for `postMessage`. */
export function toPlain(error: unknown): PlainError {
  if (error instanceof ForetasteError) return { name: error.name, message: error.message, code: error.code, part: error.part };
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: said(error) };
}

/** The error that a worker sent. */
export function fromPlain({ name, message, code, part }: PlainError): Error {
  if (code !== undefined) return new ForetasteError(code as ErrorCode, message, part ?? '');
  return Object.assign(new Error(message), { name });
}
