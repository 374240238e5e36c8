import { ForetasteError, said } from './errors.js';
import { answered, NoAnswer, passing, sleep } from './waiting.js';

/** A file of the manifest. */
export type BundleFile = { path: string; role: string; bytes: number; sha256: string; rows?: number };

/** Takes the bytes of a file as they arrive. */
export type TakeChunk = (chunk: Uint8Array<ArrayBuffer>) => void;

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  /** `low` for files that the first answers do not need. */
  priority?: RequestPriority;
  /** `reload` asks the host past all caches. */
  cache?: RequestCache;
}

/** Answers of a host that is busy. */
const BUSY = [429, 502, 503, 504];
/** Milliseconds after which a kept file is used in place of the host's. */
const PATIENCE = 5000;
/** Milliseconds in which a browser reports a request that the page's policy forbids. */
const REPORT_MS = 50;

/** Fetches a file of the bundle's folder. Without cookies and redirects, so only the bundle's own host can answer. */
export async function fetchFile(folder: URL, path: string, options: FetchOptions): Promise<Response> {
  const url = new URL(path, folder);
  if (url.protocol === 'file:') return new Response(await readFromDisk(url, path));
  const response = await request(url, path, options);
  if (response.ok) return response;
  const { status, type } = response;
  void response.body?.cancel().catch(() => {});
  if (type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    throw new ForetasteError('redirect', `${url}: the host sends this request elsewhere; give the final address`, path);
  }
  const code = status === 404 || status === 410 ? 'missing' : 'network';
  const error = new ForetasteError(code, `${url}: the host answered ${status}`, path);
  throw BUSY.includes(status) ? passing(error, waitOf(response)) : error;
}

async function request(
  url: URL,
  path: string,
  { signal, priority = 'auto', cache = 'default' }: FetchOptions,
): Promise<Response> {
  let policy: string | undefined;
  const note = ({ blockedURI, disposition, effectiveDirective }: SecurityPolicyViolationEvent) => {
    if (blockedURI === url.href && disposition === 'enforce') policy = effectiveDirective;
  };
  globalThis.addEventListener?.('securitypolicyviolation', note as EventListener);
  try {
    return await fetch(url, { credentials: 'omit', redirect: 'manual', priority, cache, ...(signal && { signal }) });
  } catch (error) {
    signal?.throwIfAborted();
    if (typeof SecurityPolicyViolationEvent !== 'undefined') await sleep(REPORT_MS);
    if (policy === undefined) throw unreached(error, path, url.href);
    const text = `${url}: the page's Content-Security-Policy forbids this request (${policy})`;
    throw new ForetasteError('blocked', text, path, { cause: error });
  } finally {
    globalThis.removeEventListener?.('securitypolicyviolation', note as EventListener);
  }
}

/** The milliseconds that a busy host asks to wait. */
function waitOf({ headers }: Response): number {
  const after = headers.get('retry-after') ?? '';
  const wait = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.now();
  return Math.max(0, wait || 0);
}

/** The error of a request that got no answer, or only the start of one. */
export function unreached(error: unknown, path: string, address: string): ForetasteError {
  return passing(new ForetasteError('network', `${address || path}: cannot be fetched: ${said(error)}`, path, { cause: error }));
}

/** Whether an error says that the network or the host is gone. Errors of answers have no cause. */
export function isUnreached(error: unknown): boolean {
  return error instanceof ForetasteError && error.code === 'network' && error.cause !== undefined;
}

/**
 * The host's answer; or what the device keeps, if the host cannot be reached or is silent for a while. If nothing is
 * kept, waits for the host.
 */
export async function hostOr<T>(asked: Promise<T>, kept: () => Promise<T | undefined>): Promise<T> {
  try {
    return await answered(asked, 'the host', PATIENCE);
  } catch (error) {
    const found = error instanceof NoAnswer || isUnreached(error) ? await kept().catch(() => undefined) : undefined;
    return found ?? asked;
  }
}

/** Reads a response chunk by chunk. More than `limit` bytes are an error. */
export async function readChunks(response: Response, path: string, limit: number, take: TakeChunk): Promise<void> {
  let length = 0;
  const reader = response.body?.getReader();
  const read = () =>
    reader?.read().catch((error: unknown) => {
      throw unreached(error, path, response.url);
    });
  for (let next = await read(); next && !next.done; next = await read()) {
    length += next.value.length;
    if (length > limit) {
      await reader?.cancel();
      throw new ForetasteError('length', `${path}: expected at most ${limit} bytes, got more`, path);
    }
    take(next.value);
  }
}

/** Reads a whole response. More than `limit` bytes are an error. */
export async function readAll(
  response: Response,
  path: string,
  limit: number,
  take: TakeChunk = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  await readChunks(response, path, limit, (chunk) => {
    chunks.push(chunk);
    take(chunk);
  });
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Reads a `file:` URL, in Node. Asks Node itself for its module: a bundler would try to find what an `import` names,
 * and a page has no use for it.
 */
async function readFromDisk(url: URL, path: string): Promise<Uint8Array<ArrayBuffer>> {
  type Node = { process?: { getBuiltinModule?: (name: string) => typeof import('node:fs/promises') } };
  const files = (globalThis as Node).process?.getBuiltinModule?.('node:fs/promises');
  if (!files) throw new ForetasteError('missing', `${url.href}: only Node, from 20.16 on, reads files of the disk`, path);
  try {
    return new Uint8Array(await files.readFile(url));
  } catch (error) {
    throw new ForetasteError('missing', `${path}: cannot be read: ${String(error)}`, path, { cause: error });
  }
}
