import { hex } from './arguments.js';
import type { FileCache } from './cache.js';
import type { Source } from './compile.js';
import { ForetasteError } from './errors.js';
import { type BundleFile, readAll, readChunks, type TakeChunk } from './fetch.js';
import type { ToShard } from './messages.js';
import { digest, type Handle, sha256 } from './modules.js';
import type { LoadOptions } from './types.js';
import type { Core } from './wasm/core.js';

/** Hears what a core is told of a file. */
export type Tell = (message: Extract<ToShard, { path: string }>) => void;

/** Fetches the files of one bundle and reports their progress as one sum. */
export class Fetcher {
  /** The bytes of each file and module that have arrived. */
  private readonly loaded = new Map<BundleFile | Source, number>();
  private readonly total: number;
  private ended = false;

  constructor(
    private readonly cache: FileCache,
    /** The files that will be fetched. */
    files: BundleFile[],
    /** An estimate of the bytes that the open bundle takes. */
    private readonly memory: number,
    private readonly signal: AbortSignal,
    /** Must not throw. */
    private readonly onProgress: LoadOptions['onProgress'],
    /** The modules that are fetched, too. */
    modules: Source[] = [],
  ) {
    this.total = [...files, ...modules].reduce((sum, { bytes }) => sum + bytes, 0);
    this.report();
  }

  /** Notes that a module has arrived. */
  arrived(module: Source): void {
    this.loaded.set(module, module.bytes);
    this.report();
  }

  /** Ends the reports: the load has failed. */
  end(): void {
    this.ended = true;
  }

  private report(): void {
    if (this.ended || this.signal.aborted) return;
    const loaded = [...this.loaded.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.onProgress?.({ loaded, total: this.total, memory: this.memory });
  }

  /** Streams a file into a core with its memory, which checks it. `tell` hears what the core is told. */
  intoCore(
    core: Handle<Core>,
    memory: WebAssembly.Memory,
    file: BundleFile,
    tell: Tell,
    priority: RequestPriority = 'auto',
  ): Promise<void> {
    const { path } = file;
    return this.fetch(file, priority, async (response, take) => {
      core.call((core) => core.begin(path));
      tell({ do: 'begin', path });
      await readChunks(response, path, file.bytes, (chunk) => {
        this.signal.throwIfAborted();
        core.call((core) => core.append(path, chunk));
        tell({ do: 'append', path, chunk });
        take(chunk);
      });
      this.signal.throwIfAborted();
      const [start = 0, length = 0] = core.call((core) => core.place(path));
      const hash = await digest(new Uint8Array(memory.buffer as ArrayBuffer, start, length));
      this.signal.throwIfAborted();
      core.call((core) => core.finish(path, hash));
      tell({ do: 'finish', path, hash });
    });
  }

  /** The bytes of a file that the core does not keep. */
  bytes(file: BundleFile): Promise<Uint8Array<ArrayBuffer>> {
    return this.fetch(file, 'low', async (response, take) => {
      const bytes = await readChecked(response, file, take);
      this.signal.throwIfAborted();
      return bytes;
    });
  }

  /**
   * Gives `use` the file and a function that counts its bytes. If `use` rejects the file, its bytes no longer count.
   */
  private fetch<T>(
    file: BundleFile,
    priority: RequestPriority,
    use: (response: Response, take: TakeChunk) => Promise<T>,
  ): Promise<T> {
    return this.cache.with(file, { signal: this.signal, priority }, async (response) => {
      let bytes = 0;
      const count = (more: number) => {
        bytes += more;
        this.loaded.set(file, bytes);
        this.report();
      };
      try {
        return await use(response, (chunk) => count(chunk.length));
      } catch (error) {
        count(-bytes);
        throw error;
      }
    });
  }
}

/** Reads a file of the manifest whole and checks its length and SHA-256. */
export async function readChecked(response: Response, file: BundleFile, take?: TakeChunk): Promise<Uint8Array<ArrayBuffer>> {
  const { path } = file;
  const bytes = await readAll(response, path, file.bytes, take);
  if (bytes.length < file.bytes) {
    throw new ForetasteError('length', `${path}: expected ${file.bytes} bytes, got ${bytes.length}`, path);
  }
  const hash = hex(await sha256(bytes));
  if (hash !== file.sha256) throw new ForetasteError('hash', `${path}: expected SHA-256 ${file.sha256}, got ${hash}`, path);
  return bytes;
}
