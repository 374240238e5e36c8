import { type ErrorCode, ForetasteError, said } from './errors.js';

/** Most values and characters of one argument together. */
const MAX_ROOM = 1 << 26;
/** Most members of a list. */
const MAX_LIST = 1 << 22;
/** Most lists and objects inside each other. */
const MAX_DEPTH = 32;
/** Longest text of an id or a search, in characters. */
const MAX_TEXT = 1 << 16;
/** Items of a list, where the page does not say. */
export const DEFAULT_K = 10;

/** Efforts of a search, as the core numbers them. */
const EFFORTS = ['accurate', 'fast'];
/** The latest time, and negative the earliest, in milliseconds UTC. */
const MAX_TIME = 8.64e15;

/** What JSON can say. */
export type Plain = string | number | boolean | null | Plain[] | { [key: string]: Plain };

/** The error of an argument that is none. */
export function refused(part: string, text: string, code: ErrorCode = 'argument', cause?: unknown): ForetasteError {
  return new ForetasteError(code, `${part}: ${text}`, part, { cause });
}

/** Reads something of the page. Getters and proxies may throw anything: that becomes an `argument`. */
export function reading<T>(part: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ForetasteError ? error : refused(part, said(error), 'argument', error);
  }
}

/**
 * A copy of an argument as plain data, which is all that crosses into the core. Getters and proxies of the page run
 * here and nowhere else, so what was checked cannot change afterwards. Members that are `undefined` are left out.
 *
 * @throws `argument` for what JSON cannot say, `range` for a number that is not finite.
 */
export function plain(value: unknown, part: string): Plain {
  let room = MAX_ROOM;
  const copy = (value: unknown, outer: string, key: string | number, depth: number): Plain => {
    const part = () => (depth > 0 ? `${outer}/${key}` : outer);
    room -= typeof value === 'string' ? value.length : 1;
    if (room < 0 || depth > MAX_DEPTH) throw refused(part(), 'expected less data');
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number') {
      if (Number.isFinite(value)) return value;
      throw refused(part(), `expected a finite number, got ${value}`, 'range');
    }
    if (typeof value !== 'object') throw refused(part(), `expected data, got ${kindOf(value)}`);
    const here = part();
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return listed(value, here).map((member, i) => copy(member, here, i, depth + 1));
    }
    const own = members(value, here);
    for (const name of Object.keys(own)) {
      room -= name.length;
      if (own[name] === undefined) delete own[name];
      else own[name] = copy(own[name], here, name, depth + 1);
    }
    return own as { [key: string]: Plain };
  };
  return reading(part, () => copy(value, part, '', 0));
}

/** The same of an object. */
export function plainObject(value: unknown, part: string): { [key: string]: Plain } {
  return plain(members(value, part), part) as { [key: string]: Plain };
}

/** The members of an object, each read once. */
export function members(value: unknown, part: string): Record<string, unknown> {
  return reading(part, () => {
    if (typeof value !== 'object' || value === null || Symbol.iterator in value) {
      throw refused(part, `expected an object, got ${kindOf(value)}`);
    }
    return { ...value };
  });
}

/** A text as an id or a search has it. */
export function text(value: unknown, part: string): string {
  if (typeof value !== 'string') throw refused(part, `expected a text, got ${kindOf(value)}`);
  if (value.length > MAX_TEXT) throw refused(part, `expected at most ${MAX_TEXT} characters, got ${value.length}`);
  return value;
}

/** The options of a list: the number of items, and the effort as the core takes it. */
export function listOptions(options: unknown): { k: number; effort: number; signal: AbortSignal | undefined } {
  const given = members(options, 'options');
  const signal = takeSignal(given, 'options');
  const { k = DEFAULT_K, effort = EFFORTS[0] } = given;
  if (typeof k !== 'number') throw refused('options.k', `expected a number, got ${kindOf(k)}`);
  checkCount(k, 'options.k');
  const place = EFFORTS.indexOf(effort as string);
  if (place < 0) throw refused('options.effort', `expected ${EFFORTS.join(' or ')}`);
  return { k, effort: place, signal };
}

/** @throws `argument` for what is neither true nor false */
export function checkBoolean(value: unknown, part: string): void {
  if (typeof value !== 'boolean') throw refused(part, `expected true or false, got ${said(value)}`);
}

/** @throws `range` for what counts nothing */
export function checkCount(value: unknown, part: string): void {
  const counts = Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 32;
  if (!counts) throw refused(part, `expected a whole number, 1 or more, got ${said(value)}`, 'range');
}

/** Bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The time in milliseconds UTC; null if the device's clock gives none. */
export function now(): number | null {
  const time = Date.now();
  return Math.abs(time) <= MAX_TIME ? time : null;
}

/** A vector of the page. */
export function vector(value: unknown, part: string): Float32Array<ArrayBuffer> {
  return reading(part, () =>
    Float32Array.from(listed(value, part), (x) => {
      if (typeof x === 'number') return x;
      throw refused(part, `expected numbers, got ${kindOf(x)}`);
    }),
  );
}

/** The members of a list, a typed array or anything else with a length and numbered members. */
function listed(value: unknown, part: string): unknown[] {
  const { length } = (typeof value === 'object' && value !== null ? value : {}) as { length?: unknown };
  if (!Number.isInteger(length) || (length as number) < 0) throw refused(part, `expected a list, got ${kindOf(value)}`);
  if ((length as number) > MAX_LIST) throw refused(part, `expected at most ${MAX_LIST} members, got ${length}`);
  return Array.from({ length: length as number }, (_, i) => (value as unknown[])[i]);
}

/** The type of a value, in words. */
export function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

/** Takes the signal out of a copy of options. @throws its reason if it is aborted already */
export function takeSignal(options: Record<string, unknown>, part: string): AbortSignal | undefined {
  const signal = options.signal as AbortSignal | undefined;
  delete options.signal;
  if (signal === undefined) return undefined;
  // By its members, because a test's page may have an `AbortSignal` of its own.
  if (typeof signal?.addEventListener !== 'function')
    throw refused(`${part}.signal`, `expected an AbortSignal, got ${kindOf(signal)}`);
  if (signal.aborted) throw signal.reason;
  return signal;
}

/** The promise, or the reason of the signal if that comes first. */
export function until<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
