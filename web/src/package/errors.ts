/** Stable names of what can go wrong. Those of the bundle and of arguments come from the core. */
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

/** Every error of this package but an abort, which is the `AbortError` of the signal. */
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

/** Runs a call of the core and gives its errors their class. */
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

/** An error as a worker sends it. */
export type PlainError = { name: string; message: string; code?: string; part?: string };

/** An error, to be sent to the page. */
export function plain(error: unknown): PlainError {
  if (error instanceof ForetasteError) return { name: error.name, message: error.message, code: error.code, part: error.part };
  return error instanceof Error ? { name: error.name, message: error.message } : { name: 'Error', message: String(error) };
}

/** The error that a worker sent. */
export function revived({ name, message, code, part }: PlainError): Error {
  if (code !== undefined) return new ForetasteError(code as ErrorCode, message, part ?? '');
  return Object.assign(new Error(message), { name });
}

/** As JSON for the core, which reads every object of a page as text. A number of an event that JSON does not have is an error, not missing. */
export function json(value: unknown, part: string): string {
  const finite = (key: string, member: unknown) => {
    if (typeof member !== 'number' || Number.isFinite(member) || part === 'request') return member;
    throw new ForetasteError('range', `${part}/${key}: expected a finite number, got ${member}`, `${part}/${key}`);
  };
  try {
    return JSON.stringify(value, finite) ?? 'null';
  } catch (error) {
    if (error instanceof ForetasteError) throw error;
    throw new ForetasteError('argument', `${part}: ${String(error)}`, part, { cause: error });
  }
}
