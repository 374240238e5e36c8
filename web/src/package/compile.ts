import { ForetasteError, said } from './errors.js';
import { fetchFile, hostOr, unreached } from './fetch.js';
import { base } from './options.js';
import type { WasmSource } from './types.js';
import { retried } from './waiting.js';

/** A module, and how many bytes are fetched for it; 0 if nobody knows. */
export type Source = { source: WasmSource; bytes: number };

/** Finds a module that the device keeps. */
export type FindModule = (url: URL) => Promise<Response | undefined>;

/** A server that answers with a page has no such file: Vite's does not, before version 8, where it moves the script. */
const NO_FILE =
  "found HTML where WASM was expected; in Vite before 8 set `optimizeDeps: { exclude: ['foretaste'] }`, else copy the package's " +
  'files, give the address as `wasm`, or import `foretaste/inline`';
const FORBIDDEN = "the page's Content-Security-Policy forbids WebAssembly; its script-src needs 'wasm-unsafe-eval'";

/** The address of a module; undefined if the page gives the module itself. */
export function addressOf(source: WasmSource): URL | undefined {
  return typeof source === 'string' || source instanceof URL ? new URL(source, base()) : undefined;
}

/**
 * Compiles a WASM module: while it arrives if the host gives its content type, else once it is complete. Takes the kept
 * module where the network is gone or silent.
 */
export async function compileWasm(
  source: WasmSource,
  priority: RequestPriority = 'auto',
  find?: FindModule,
): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof Response) return compileResponse(source, source.url);
  const url = addressOf(source);
  if (!url) return compileBytes(source as BufferSource, 'wasm');
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  const ask = async () => compileResponse(await fetchFile(new URL('.', url), name + url.search, { priority }), name);
  const kept = async () => {
    const response = await find?.(url);
    return response && compileResponse(response, name);
  };
  return retried(undefined, () => hostOr(ask(), kept));
}

async function compileResponse(response: Response, part: string): Promise<WebAssembly.Module> {
  try {
    // Engines refuse to stream any other type, such as one with a parameter.
    if (response.headers.get('content-type') === 'application/wasm') {
      return await WebAssembly.compileStreaming(response);
    }
    return await compileBytes(await response.arrayBuffer(), part);
  } catch (error) {
    // What breaks off is no error of the module.
    if (error instanceof TypeError) throw unreached(error, part, response.url);
    throw refused(error, part);
  }
}

async function compileBytes(bytes: BufferSource, part: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw refused(error, part, new TextDecoder().decode(bytes).trimStart().startsWith('<') ? NO_FILE : undefined);
  }
}

function refused(error: unknown, part: string, hint?: string): ForetasteError {
  if (error instanceof ForetasteError) return error;
  const text = said(error);
  if (/content.security.policy|\bcsp\b|unsafe-eval/i.test(text)) {
    return new ForetasteError('blocked', `${part}: ${FORBIDDEN}`, part, { cause: error });
  }
  return new ForetasteError('malformed', `${part}: ${hint ?? text}`, part, { cause: error });
}
