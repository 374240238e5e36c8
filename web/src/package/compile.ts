import { ForetasteError } from './errors.js';
import { ask } from './fetch.js';

/** Compiles a WASM module: while it arrives, where the host names its type. */
export async function wasmOf(source: string | URL | Response | WebAssembly.Module | BufferSource, priority: RequestPriority = 'auto'): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof Response) return compileResponse(source, source.url);
  if (typeof source !== 'string' && !(source instanceof URL)) return compile(source, 'wasm');
  const url = new URL(source, typeof document === 'undefined' ? import.meta.url : document.baseURI);
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return compileResponse(await ask(new URL('.', url), name + url.search, { priority }), name);
}

async function compileResponse(response: Response, part: string): Promise<WebAssembly.Module> {
  if (!response.headers.get('content-type')?.startsWith('application/wasm')) return compile(await response.arrayBuffer(), part);
  try {
    return await WebAssembly.compileStreaming(response);
  } catch (error) {
    throw refused(error, part);
  }
}

async function compile(bytes: BufferSource, part: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const start = new Uint8Array(bytes instanceof ArrayBuffer ? bytes : bytes.buffer)[0];
    throw refused(error, part, start === 0x3c ? 'found HTML where WASM was expected; give its address as `wasm`' : undefined);
  }
}

function refused(error: unknown, part: string, hint = String(error)): ForetasteError {
  return new ForetasteError('malformed', `${part}: ${hint}`, part, { cause: error });
}
