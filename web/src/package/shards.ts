import { ForetasteError, typed } from './errors.js';
import type { BundleFile } from './fetch.js';
import type { Core } from './wasm/core.js';

/** The best rows of a search, best first. */
export type Found = { rows: Uint32Array; scores: Float32Array };
/** What is searched for. */
export type Search = { vector: Float32Array; k: number; effort: number; lift: Float32Array; removed: Uint32Array };

/** What a shard is told. Everything but a search is not answered: a fault of it is the answer to the first search, or to `sealed`. */
export type ToShard =
  | { do: 'open'; module: WebAssembly.Module; manifest: Uint8Array; maxBytes: number | undefined }
  | { do: 'begin'; path: string }
  | { do: 'append'; path: string; chunk: Uint8Array }
  | { do: 'finish'; path: string; hash: Uint8Array }
  | { do: 'seal'; id: number }
  | ({ do: 'search'; id: number } & Search);

/** Its answers. */
export type FromShard = { id: number; found?: Found; error?: string };

/** Rows that make a worker worth its messages: two share 400,000 rows in less time than one takes. */
const ROWS_PER_WORKER = 200_000;

/** A worker with the rows `first` to `first + count - 1`. */
class Shard {
  private readonly worker = new Worker(new URL('./shard.js', import.meta.url), { type: 'module', name: 'foretaste shard' });
  private readonly waiting = new Map<number, { resolve: (found: Found | undefined) => void; reject: (error: unknown) => void }>();
  private asked = 0;

  constructor(
    readonly first: number,
    readonly count: number,
  ) {
    this.worker.onmessage = ({ data }: MessageEvent<FromShard>) => {
      const answer = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) answer?.resolve(data.found);
      else answer?.reject(new ForetasteError('model', `a shard failed: ${data.error}`, 'worker'));
    };
    this.worker.onerror = (event) => this.fail(event.message);
  }

  tell(message: ToShard): void {
    this.worker.postMessage(message);
  }

  ask(message: { do: 'seal' } | ({ do: 'search' } & Search)): Promise<Found | undefined> {
    const id = this.asked++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, id });
    });
  }

  private fail(text: string): void {
    for (const { reject } of this.waiting.values()) reject(new ForetasteError('model', `a shard failed: ${text}`, 'worker'));
    this.waiting.clear();
  }

  stop(): void {
    this.worker.terminate();
    this.fail('it was stopped');
  }
}

/** Workers beside this one that hold a part of the item files each; the first part is searched here. */
export class Shards {
  private constructor(
    private readonly others: Map<string, Shard>,
    private readonly shards: Shard[],
    /** Item files of the part that is searched here. */
    private readonly files: number,
  ) {}

  /** Workers that search, this one among them. */
  get count(): number {
    return this.shards.length + 1;
  }

  /** As many as were wanted, as the catalog is worth and as there are item files. */
  static open(wanted: boolean | number, items: BundleFile[], open: Extract<ToShard, { do: 'open' }>): Shards | undefined {
    const rows = items.reduce((sum, file) => sum + (file.rows ?? 0), 0);
    const helpful = Math.min(Math.floor(rows / ROWS_PER_WORKER), globalThis.navigator?.hardwareConcurrency ?? 1);
    const count = Math.min(wanted === true ? helpful : Number(wanted), items.length);
    if (!(count > 1)) return undefined;
    const others = new Map<string, Shard>();
    const shards: Shard[] = [];
    let first = 0;
    let own = 0;
    for (let part = 0, at = 0; part < count; part++) {
      // The files that end nearest to this part's share of the rows, one at least, and one for each part to come.
      const start = first;
      const files: BundleFile[] = [];
      for (; at < items.length - (count - part - 1); at++) {
        const more = items[at]?.rows ?? 0;
        if (files.length > 0 && first + more / 2 > (rows * (part + 1)) / count) break;
        files.push(items[at] as BundleFile);
        first += more;
      }
      if (part === 0) {
        own = files.length;
        continue;
      }
      const shard = new Shard(start, first - start);
      shard.tell(open);
      shards.push(shard);
      files.forEach((file) => others.set(file.path, shard));
    }
    return new Shards(others, shards, own);
  }

  /** Tells the shard of a file, if it is not this one, what happens to the file here. */
  tell(message: Extract<ToShard, { path: string }>): void {
    this.others.get(message.path)?.tell(message);
  }

  /** Settles when every shard has its rows. */
  async sealed(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.ask({ do: 'seal' })));
  }

  /** The best rows of all shards, best first, ties by row. */
  async search(core: Core, { vector, k, effort, lift, removed }: Search): Promise<Found> {
    const elsewhere = this.shards.map(async (shard) => {
      const own = removed.filter((row) => row >= shard.first && row < shard.first + shard.count).map((row) => row - shard.first);
      const found = await shard.ask({ do: 'search', vector, k, effort, lift, removed: own });
      return { rows: found?.rows.map((row) => row + shard.first) ?? new Uint32Array(), scores: found?.scores ?? new Float32Array() };
    });
    // What fails here fails there too, and is told once.
    elsewhere.forEach((found) => found.catch(() => {}));
    const here = typed(() => core.search(vector, k, effort, lift, removed, this.files) as Found);
    return (await Promise.all(elsewhere)).reduce((a, b) => merge(a, b, k), here);
  }

  stop(): void {
    this.shards.forEach((shard) => shard.stop());
  }
}

/** Two lists as one; the rows of the first come before those of the second. */
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
