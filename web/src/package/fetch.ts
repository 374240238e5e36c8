import { ForetasteError } from './errors.js';

/** Reads a file of the bundle's folder, at most `limit` bytes. No cookies, no redirects: nothing but this folder answers. */
export async function fetchFile(
  folder: URL,
  path: string,
  limit: number,
  signal: AbortSignal | undefined,
  onBytes: (count: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(path, folder);
  if (url.protocol === 'file:') {
    const bytes = await readFromDisk(url, path);
    onBytes(bytes.length);
    return bytes;
  }
  let response: Response;
  try {
    response = await fetch(url, { credentials: 'omit', redirect: 'error', ...(signal && { signal }) });
  } catch (error) {
    throw networkError(error, path);
  }
  if (!response.ok) {
    const code = response.status === 404 || response.status === 410 ? 'missing' : 'network';
    throw new ForetasteError(code, `${path}: the host answered ${response.status}`, path);
  }
  return readAll(response, path, limit, onBytes);
}

async function readAll(
  response: Response,
  path: string,
  limit: number,
  onBytes: (count: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      length += next.value.length;
      if (length > limit) {
        await reader?.cancel();
        throw new ForetasteError('length', `${path}: expected at most ${limit} bytes, got more`, path);
      }
      chunks.push(next.value);
      onBytes(next.value.length);
    }
  } catch (error) {
    throw networkError(error, path);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function networkError(error: unknown, path: string): unknown {
  const isAbort = error instanceof Error && error.name === 'AbortError';
  if (isAbort || error instanceof ForetasteError) return error;
  return new ForetasteError('network', `${path}: cannot be fetched: ${String(error)}`, path, { cause: error });
}

/** Node alone has such addresses; the name is not written out so that bundlers do not look for it. */
async function readFromDisk(url: URL, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const name = 'node:fs/promises';
  const fs = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as {
    readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
  };
  try {
    return new Uint8Array(await fs.readFile(url));
  } catch (error) {
    throw new ForetasteError('missing', `${path}: cannot be read: ${String(error)}`, path, { cause: error });
  }
}

/** The bytes of a WASM module, or the module itself. */
export async function wasmOf(source: string | URL | Response | WebAssembly.Module | BufferSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (typeof source === 'string' || source instanceof URL) {
    const url = new URL(source, typeof document === 'undefined' ? import.meta.url : document.baseURI);
    const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
    return compile(await fetchFile(new URL('.', url), name + url.search, Infinity, undefined, () => {}), name);
  }
  if (source instanceof Response) return compile(new Uint8Array(await source.arrayBuffer()), source.url);
  return compile(source, 'wasm');
}

async function compile(bytes: BufferSource, part: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const start = new Uint8Array(bytes instanceof ArrayBuffer ? bytes : bytes.buffer).slice(0, 1)[0];
    const hint = start === 0x3c ? ': found HTML where WASM was expected; give its address as `wasm`' : `: ${String(error)}`;
    throw new ForetasteError('malformed', part + hint, part, { cause: error });
  }
}
