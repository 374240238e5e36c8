import { deltasOf, patched } from './delta.js';
import { ask, type BundleFile, type FetchOptions } from './fetch.js';

const NAME = 'foretaste';

/**
 * The files of one bundle that this device has, by address and hash. It saves bytes and time and decides nothing: what comes out of it is
 * checked as what comes from the host. Where the browser has no cache or denies it, every file comes from the host.
 */
export class FileCache {
  /** What the host has to make a file from one of the bundle before. */
  deltas: BundleFile[] = [];
  /** Looked for ahead, each for one use. */
  private readonly ahead = new Map<string, Promise<Response | undefined>>();

  private constructor(
    private readonly folder: URL,
    private readonly cache: Cache | undefined,
  ) {}

  static async open(folder: URL, wanted: boolean): Promise<FileCache> {
    const there = wanted && typeof caches !== 'undefined' && folder.protocol.startsWith('http');
    return new FileCache(folder, there ? await caches.open(NAME).catch(() => undefined) : undefined);
  }

  private key(file: BundleFile): string {
    return new URL(`${file.path}?sha256=${file.sha256}`, this.folder).href;
  }

  /** Looks for files before anyone asks for them: this device's answers take as long as a file's. */
  look(files: BundleFile[]): void {
    files.forEach((file) => this.ahead.set(this.key(file), this.match(file)));
  }

  private match(file: BundleFile): Promise<Response | undefined> {
    return this.cache?.match(this.key(file)).catch(() => undefined) ?? Promise.resolve(undefined);
  }

  private find(file: BundleFile): Promise<Response | undefined> {
    const found = this.ahead.get(this.key(file)) ?? this.match(file);
    this.ahead.delete(this.key(file));
    return found;
  }

  /** Makes a file from the one of the bundle before, where this device has that. What goes wrong is no reason not to ask for the whole file. */
  private async make(file: BundleFile, options: FetchOptions): Promise<Response | undefined> {
    for (const { delta, from } of this.cache ? deltasOf(file, this.deltas) : []) {
      try {
        const old = await this.cache?.match(new URL(from, this.folder).href, { ignoreSearch: true });
        if (old) return await patched(old, await ask(this.folder, delta.path, options), delta, file.bytes);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    return undefined;
  }

  /** Gives the file to `use`: this device's own, one made from the bundle before, or the host's. What is refused is not kept, and the next is tried. */
  async with<T>(file: BundleFile, options: FetchOptions, use: (response: Response) => Promise<T>): Promise<T> {
    const kept = await this.find(file);
    if (kept) {
      try {
        return await use(kept);
      } catch {
        options.signal?.throwIfAborted();
        await this.forget(file);
      }
    }
    const made = await this.make(file, options);
    if (made) {
      try {
        return await this.keep(file, made, use);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    return this.keep(file, await ask(this.folder, file.path, options), use);
  }

  /** Uses an answer and keeps it for the next visit, unless it is refused. */
  private async keep<T>(file: BundleFile, response: Response, use: (response: Response) => Promise<T>): Promise<T> {
    // A full disk is no reason to fail.
    const keeping = this.cache?.put(this.key(file), response.clone()).catch(() => {});
    try {
      return await use(response);
    } catch (error) {
      void keeping?.then(() => this.forget(file));
      throw error;
    }
  }

  private async forget(file: BundleFile): Promise<void> {
    await this.cache?.delete(this.key(file)).catch(() => false);
  }

  /** Drops what earlier bundles of this folder have left. */
  async prune(files: BundleFile[]): Promise<void> {
    const now = new Set(files.map((file) => this.key(file)));
    const kept = (await this.cache?.keys().catch(() => [])) ?? [];
    const old = kept.filter((request) => request.url.startsWith(this.folder.href) && !now.has(request.url));
    await Promise.all(old.map((request) => this.cache?.delete(request)));
  }
}
