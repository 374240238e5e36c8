import { deltasOf, patch } from './delta.js';
import { type BundleFile, type FetchOptions, fetchFile } from './fetch.js';

const NAME = 'foretaste';

/**
 * The files of one bundle that this device keeps in Cache Storage, by address and hash.
 *
 * It only saves bytes and time: whatever it returns is checked like a file from the host. Where the browser has no
 * Cache Storage or denies it, every file comes from the host.
 */
export class FileCache {
  /** Files of the host that make a file of this bundle from one of an earlier bundle. */
  deltas: BundleFile[] = [];
  /** Lookups started by `prefetch`; each is used once. */
  private readonly prefetched = new Map<string, Promise<Response | undefined>>();

  private cache: Cache | undefined;

  private constructor(
    private readonly folder: URL,
    private readonly wanted: boolean,
  ) {}

  /** Opens the cache of the bundle in `folder`. With `wanted` or `allowed` false nothing is kept or found. */
  static async open(folder: URL, wanted: boolean, allowed: boolean): Promise<FileCache> {
    const files = new FileCache(folder, wanted && folder.protocol.startsWith('http'));
    if (allowed) await files.allow();
    return files;
  }

  /** Keeps files from now on, if the page wants it. */
  async allow(): Promise<void> {
    if (this.wanted && typeof caches !== 'undefined') this.cache = await caches.open(NAME).catch(() => undefined);
  }

  /** Keeps nothing from now on, and deletes all that the package keeps in Cache Storage. */
  async erase(): Promise<void> {
    this.cache = undefined;
    if (typeof caches !== 'undefined') await caches.delete(NAME).catch(() => false);
  }

  private key(file: BundleFile): string {
    return new URL(`${file.path}?sha256=${file.sha256}`, this.folder).href;
  }

  /** Starts to look files up before anyone needs them: a lookup takes about as long as fetching a small file. */
  prefetch(files: BundleFile[]): void {
    files.forEach((file) => this.prefetched.set(this.key(file), this.match(file)));
  }

  private match(file: BundleFile): Promise<Response | undefined> {
    return this.cache?.match(this.key(file)).catch(() => undefined) ?? Promise.resolve(undefined);
  }

  private find(file: BundleFile): Promise<Response | undefined> {
    const found = this.prefetched.get(this.key(file)) ?? this.match(file);
    this.prefetched.delete(this.key(file));
    return found;
  }

  /**
   * Makes a file from one of an earlier bundle and a delta. Undefined if that fails: the caller then fetches the whole
   * file.
   */
  private async fromDelta(file: BundleFile, options: FetchOptions): Promise<Response | undefined> {
    for (const { delta, from } of this.cache ? deltasOf(file, this.deltas) : []) {
      try {
        const old = await this.cache?.match(new URL(from, this.folder).href, { ignoreSearch: true });
        if (old) return await patch(old, await fetchFile(this.folder, delta.path, options), delta, file.bytes);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    return undefined;
  }

  /**
   * Calls `use` with the file: with the kept one, or else with one made from a delta, or else with the host's. If `use`
   * rejects it, it is dropped and the next is tried.
   */
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
    const made = await this.fromDelta(file, options);
    if (made) {
      try {
        return await this.keep(file, made, use);
      } catch {
        options.signal?.throwIfAborted();
      }
    }
    return this.keep(file, await fetchFile(this.folder, file.path, options), use);
  }

  /** Calls `use` with a response and keeps it for the next visit, unless `use` rejects it. */
  private async keep<T>(file: BundleFile, response: Response, use: (response: Response) => Promise<T>): Promise<T> {
    // A full disk must not fail the load.
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

  /** Deletes what earlier bundles of this folder left; `files` are those of the current bundle. */
  async prune(files: BundleFile[]): Promise<void> {
    const current = new Set(files.map((file) => this.key(file)));
    const kept = (await this.cache?.keys().catch(() => [])) ?? [];
    const old = kept.filter((request) => request.url.startsWith(this.folder.href) && !current.has(request.url));
    await Promise.all(old.map((request) => this.cache?.delete(request)));
  }
}
