import { ForetasteError } from './errors.js';
import { fetchFile } from './fetch.js';
import { base } from './options.js';
import type { WasmSource } from './types.js';

/** A module, and how many bytes are fetched for it; 0 if nobody knows. */
export type Source = { source: WasmSource; bytes: number };

/** A server that answers with a page has no such file: Vite's does not, before version 8, where it moves the script. */
const NO_FILE =
  "found HTML where WASM was expected; in Vite before 8 set `optimizeDeps: { exclude: ['foretaste'] }`, else copy the package's " +
  'files, give the address as `wasm`, or import `foretaste/inline`';

/** Compiles a WASM module: while it arrives if the host gives its content type, else once it is complete. */
export async function compileWasm(source: WasmSource, priority: RequestPriority = 'auto'): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof Response) return compileResponse(source, source.url);
  if (typeof source !== 'string' && !(source instanceof URL)) return compileBytes(source, 'wasm');
  const url = new URL(source, base());
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return compileResponse(await fetchFile(new URL('.', url), name + url.search, { priority }), name);
}

async function compileResponse(response: Response, part: string): Promise<WebAssembly.Module> {
  if (!response.headers.get('content-type')?.startsWith('application/wasm'))
    return compileBytes(await response.arrayBuffer(), part);
  try {
    return await WebAssembly.compileStreaming(response);
  } catch (error) {
    throw malformed(error, part);
  }
}

async function compileBytes(bytes: BufferSource, part: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const isHtml = new Uint8Array(bytes instanceof ArrayBuffer ? bytes : bytes.buffer)[0] === '<'.charCodeAt(0);
    throw malformed(error, part, isHtml ? NO_FILE : undefined);
  }
}

function malformed(error: unknown, part: string, hint = String(error)): ForetasteError {
  return new ForetasteError('malformed', `${part}: ${hint}`, part, { cause: error });
}
