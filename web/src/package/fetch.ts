import { ForetasteError } from './errors.js';

/** A file of the manifest. */
export type BundleFile = { path: string; role: string; bytes: number; sha256: string; rows?: number };

/** Takes the bytes of a file as they arrive. */
export type TakeChunk = (chunk: Uint8Array<ArrayBuffer>) => void;

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  /** `low` for files that the first answers do not need. */
  priority?: RequestPriority;
}

/** Fetches a file of the bundle's folder. Without cookies and redirects, so only the bundle's own host can answer. */
export async function fetchFile(folder: URL, path: string, options: FetchOptions): Promise<Response> {
  const url = new URL(path, folder);
  if (url.protocol === 'file:') return new Response(await readFromDisk(url, path));
  let response: Response;
  try {
    const { signal, priority = 'auto' } = options;
    response = await fetch(url, { credentials: 'omit', redirect: 'error', priority, ...(signal && { signal }) });
  } catch (error) {
    throw networkError(error, path);
  }
  if (!response.ok) {
    const code = response.status === 404 || response.status === 410 ? 'missing' : 'network';
    throw new ForetasteError(code, `${path}: the host answered ${response.status}`, path);
  }
  return response;
}

/** Reads a response chunk by chunk. More than `limit` bytes are an error. */
export async function readChunks(response: Response, path: string, limit: number, take: TakeChunk): Promise<void> {
  let length = 0;
  const reader = response.body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      length += next.value.length;
      if (length > limit) {
        await reader?.cancel();
        throw new ForetasteError('length', `${path}: expected at most ${limit} bytes, got more`, path);
      }
      take(next.value);
    }
  } catch (error) {
    throw networkError(error, path);
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

function networkError(error: unknown, path: string): unknown {
  const isAbort = error instanceof Error && error.name === 'AbortError';
  // An error with a code already says what failed and where.
  if (isAbort || (error instanceof Error && 'code' in error && typeof error.code === 'string')) return error;
  return new ForetasteError('network', `${path}: cannot be fetched: ${String(error)}`, path, { cause: error });
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
