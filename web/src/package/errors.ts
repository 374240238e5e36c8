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
  | 'network'
  | 'disposed';

/** The class of every error of this package, except aborts: those are the `AbortError` of the signal. */
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

/** Calls the core and turns its errors into `ForetasteError`s. */
export function typed<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asTyped(error);
  }
}

function asTyped(error: unknown): unknown {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    const part = 'part' in error && typeof error.part === 'string' ? error.part : '';
    return new ForetasteError(error.code as ErrorCode, error.message, part, { cause: error });
  }
  return error;
}

/** An error as a worker sends it: the structured clone of an `Error` would lose `code` and `part`. */
export type PlainError = { name: string; message: string; code?: string; part?: string };

/** Converts an error for `postMessage`. */
export function toPlain(error: unknown): PlainError {
  if (error instanceof ForetasteError) return { name: error.name, message: error.message, code: error.code, part: error.part };
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: String(error) };
}

/** The error that a worker sent. */
export function fromPlain({ name, message, code, part }: PlainError): Error {
  if (code !== undefined) return new ForetasteError(code as ErrorCode, message, part ?? '');
  return Object.assign(new Error(message), { name });
}
