import { ForetasteError } from './errors.js';
import type { BundleFile } from './fetch.js';
import type { Found, FromShard, Search, ToShard } from './messages.js';
import type { LastingCore } from './modules.js';

/** Rows from which one more worker pays for its messages: two workers search 400,000 rows faster than one. */
const ROWS_PER_WORKER = 200_000;

/** A worker that has the rows `first` to `first + count - 1`. */
class Shard {
  private readonly worker: Worker;
  private readonly pending = new Map<number, { resolve: (found: Found | undefined) => void; reject: (error: unknown) => void }>();
  private nextId = 0;

  constructor(
    script: URL,
    readonly first: number,
    readonly count: number,
  ) {
    this.worker = new Worker(script, { type: 'module', name: 'foretaste shard' });
    this.worker.onmessage = ({ data }: MessageEvent<FromShard>) => {
      const call = this.pending.get(data.id);
      this.pending.delete(data.id);
      if (data.error === undefined) call?.resolve(data.found);
      else call?.reject(new ForetasteError('model', `a shard failed: ${data.error}`, 'worker'));
    };
    this.worker.onerror = (event) => this.fail(event.message);
  }

  /** Sends a message that is not answered. */
  send(message: ToShard): void {
    this.worker.postMessage(message);
  }

  /** Sends a message and resolves to its answer. */
  call(message: { do: 'seal' } | ({ do: 'search' } & Search)): Promise<Found | undefined> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, id });
    });
  }

  private fail(text: string): void {
    for (const { reject } of this.pending.values()) {
      reject(new ForetasteError('model', `a shard failed: ${text}`, 'worker'));
    }
    this.pending.clear();
  }

  stop(): void {
    this.worker.terminate();
    this.fail('it was stopped');
  }
}

/**
 * A catalog whose search is split: this thread searches the first item files, each further worker some of the others.
 */
export class Shards {
  private constructor(
    /** The shard of each item file that is not searched here, by path. */
    private readonly shardOf: Map<string, Shard>,
    private shards: Shard[],
    /** How many item files are searched here; undefined: all. */
    private filesHere: number | undefined,
  ) {}

  /** Workers that search, counting this one. */
  get count(): number {
    return this.shards.length + 1;
  }

  /**
   * Starts the further workers: as many as `wanted` says (`true`: as many as the catalog and the device's cores
   * justify), but no more than there are item files. Undefined if this thread should search alone.
   */
  static open(
    script: () => URL,
    wanted: boolean | number,
    items: BundleFile[],
    open: Extract<ToShard, { do: 'open' }>,
  ): Shards | undefined {
    const rows = items.reduce((sum, file) => sum + (file.rows ?? 0), 0);
    const helpful = Math.min(Math.floor(rows / ROWS_PER_WORKER), globalThis.navigator?.hardwareConcurrency ?? 1);
    const count = Math.min(wanted === true ? helpful : Number(wanted), items.length);
    if (!(count > 1)) return undefined;
    const shardOf = new Map<string, Shard>();
    const shards: Shard[] = [];
    let first = 0;
    let filesHere = 0;
    for (let part = 0, at = 0; part < count; part++) {
      // At least one file, at most so many that each later part gets one; ends as near as it can to its share of the
      // rows.
      const start = first;
      const files: BundleFile[] = [];
      for (; at < items.length - (count - part - 1); at++) {
        const more = items[at]?.rows ?? 0;
        if (files.length > 0 && first + more / 2 > (rows * (part + 1)) / count) break;
        files.push(items[at] as BundleFile);
        first += more;
      }
      if (part === 0) {
        filesHere = files.length;
        continue;
      }
      const shard = new Shard(script(), start, first - start);
      shard.send(open);
      shards.push(shard);
      files.forEach((file) => shardOf.set(file.path, shard));
    }
    return new Shards(shardOf, shards, filesHere);
  }

  /** Passes on what happens to a file here to the shard that has the file, if one has. */
  send(message: Extract<ToShard, { path: string }>): void {
    this.shardOf.get(message.path)?.send(message);
  }

  /** Resolves when every shard has its rows. */
  async sealed(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.call({ do: 'seal' })));
  }

  /** The best rows of all shards, best first, ties by row. If a shard fails, this thread goes on alone. */
  async search(core: LastingCore, { vector, k, effort, lift, removed }: Search): Promise<Found> {
    const elsewhere = this.shards.map(async (shard) => {
      const inShard = removed
        .filter((row) => row >= shard.first && row < shard.first + shard.count)
        .map((row) => row - shard.first);
      const found = await shard.call({ do: 'search', vector, k, effort, lift, removed: inShard });
      return {
        rows: found?.rows.map((row) => row + shard.first) ?? new Uint32Array(),
        scores: found?.scores ?? new Float32Array(),
      };
    });
    elsewhere.forEach((found) => found.catch(() => {}));
    // If this throws, the shards fail for the same reason.
    const here = await core.use((core) => core.search(vector, k, effort, lift, removed, this.filesHere) as Found);
    try {
      return (await Promise.all(elsewhere)).reduce((a, b) => merge(a, b, k), here);
    } catch {
      this.stop();
      this.shards = [];
      this.filesHere = undefined;
      return core.use((core) => core.search(vector, k, effort, lift, removed) as Found);
    }
  }

  stop(): void {
    this.shards.forEach((shard) => shard.stop());
  }
}

/** Merges two lists into the best `k`. Every row of `a` is smaller than every row of `b`, so `a` wins ties. */
function merge(a: Found, b: Found, k: number): Found {
  const length = Math.min(k, a.rows.length + b.rows.length);
  const found = { rows: new Uint32Array(length), scores: new Float32Array(length) };
  for (let at = 0, i = 0, j = 0; at < length; at++) {
    const fromA = j >= b.rows.length || (i < a.rows.length && (a.scores[i] as number) >= (b.scores[j] as number));
    const [from, place] = fromA ? [a, i++] : [b, j++];
    found.rows[at] = from.rows[place] as number;
    found.scores[at] = from.scores[place] as number;
  }
  return found;
}
