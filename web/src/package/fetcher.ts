import type { FileCache } from './cache.js';
import { typed } from './errors.js';
import { type BundleFile, readAll, readChunks, type TakeChunk } from './fetch.js';
import { sha256 } from './modules.js';
import type { Shards } from './shards.js';
import type { LoadOptions } from './types.js';
import type { Core } from './wasm/core.js';

/** Fetches the files of one bundle and reports their progress as one sum. */
export class Fetcher {
  private loaded = 0;
  private readonly total: number;
  private readonly bundleMemory: number;

  constructor(
    readonly core: Core,
    /** The core's memory, where the browser hashes files. */
    private readonly coreMemory: WebAssembly.Memory,
    private readonly shards: Shards | undefined,
    private readonly cache: FileCache,
    /** The files that will be fetched. */
    readonly files: BundleFile[],
    private readonly signal: AbortSignal,
    private readonly onProgress: LoadOptions['onProgress'],
  ) {
    this.total = files.reduce((sum, file) => sum + file.bytes, 0);
    this.bundleMemory = typed(() => core.memory());
    this.count(0);
  }

  private count(bytes: number): void {
    this.loaded += bytes;
    if (!this.signal.aborted) this.onProgress?.({ loaded: this.loaded, total: this.total, memory: this.bundleMemory });
  }

  /** Streams a file into the memory of the core, which checks it, and into the shard that searches it. */
  intoCore(file: BundleFile): Promise<void> {
    const { core, shards } = this;
    const { path } = file;
    return this.fetch(file, 'auto', async (response, take) => {
      typed(() => core.begin(path));
      shards?.send({ do: 'begin', path });
      await readChunks(response, path, file.bytes, (chunk) => {
        this.signal.throwIfAborted();
        typed(() => core.append(path, chunk));
        shards?.send({ do: 'append', path, chunk });
        take(chunk);
      });
      this.signal.throwIfAborted();
      const [start = 0, length = 0] = typed(() => core.place(path));
      const hash = await sha256(new Uint8Array(this.coreMemory.buffer as ArrayBuffer, start, length));
      this.signal.throwIfAborted();
      typed(() => core.finish(path, hash));
      shards?.send({ do: 'finish', path, hash });
    });
  }

  /** The bytes of a file that the core checks but does not keep. */
  bytes(file: BundleFile): Promise<Uint8Array<ArrayBuffer>> {
    const { core } = this;
    return this.fetch(file, 'low', async (response, take) => {
      const bytes = await readAll(response, file.path, file.bytes, take);
      const hash = await sha256(bytes);
      this.signal.throwIfAborted();
      typed(() => core.check(file.path, bytes.length, hash));
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
      try {
        return await use(response, (chunk) => {
          bytes += chunk.length;
          this.count(chunk.length);
        });
      } catch (error) {
        this.count(-bytes);
        throw error;
      }
    });
  }
}
