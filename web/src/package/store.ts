import type { KeptEvent } from './types.js';

/** What another tab did: it wrote these lines to the log, it changed the kept events, or it erased everything. */
export type News = { lines: string[] } | 'changed' | 'cleared';

const DATABASE = 'foretaste';
const VERSION = 2;
/**
 * Object store since version 1: the events of a namespace under its name, its experiment id under `[namespace,
 * 'unit']`.
 */
const PROFILES = 'profiles';
/**
 * Object store since version 2: the log lines of all namespaces in the order they were written, with an index by
 * namespace.
 */
const LOG = 'log';
type Line = { namespace: string; line: string };
/** Log lines that a namespace keeps: as many as the core keeps. */
const CAPACITY = 20_000;
/** Lines to append before lines over the capacity are deleted. */
const TRIM_AFTER = 256;

/**
 * The events, log and experiment id of one namespace in the IndexedDB of this origin.
 *
 * Each change is one transaction, so tabs never overwrite each other's changes. No method fails: if IndexedDB does, the
 * recommender keeps working in memory and `error` says why.
 */
export class Store {
  private readonly channel: BroadcastChannel;
  /** The key of the experiment id. Namespaces are strings, so no namespace has this key. */
  private readonly unitKey: [string, 'unit'];
  private fault: string | undefined;
  private closed = false;
  /** Lines that IndexedDB did not take. */
  private readonly unwritten: string[] = [];
  /** Adds lines to the transaction that the current task has started; undefined if it has started none. */
  private addToBatch: ((lines: string[]) => void) | undefined;
  private appendedSinceTrim = 0;

  private constructor(
    private readonly database: IDBDatabase,
    private readonly namespace: string,
  ) {
    this.channel = new BroadcastChannel(`${DATABASE}:${namespace}`);
    this.unitKey = [namespace, 'unit'];
    // A page of a later version that wants to upgrade the database must not wait for this one.
    database.onversionchange = () => database.close();
  }

  /** Opens the store of a namespace. Rejects if the visitor or the browser denies IndexedDB. */
  static async open(namespace: string): Promise<Store> {
    return new Store(await openDatabase(), namespace);
  }

  /** The first error since the store was opened. */
  get error(): string | undefined {
    return this.fault;
  }

  /** The kept events, oldest first. */
  async events(): Promise<KeptEvent[]> {
    const read = (t: IDBTransaction) => t.objectStore(PROFILES).get(this.namespace) as IDBRequest<KeptEvent[] | undefined>;
    return (await this.within('readonly', PROFILES, read)) ?? [];
  }

  /** Replaces the kept events by what `change` makes of them, and tells the other tabs. */
  async update(change: (events: KeptEvent[]) => KeptEvent[]): Promise<void> {
    await this.within('readwrite', PROFILES, (t) => {
      const profiles = t.objectStore(PROFILES);
      const request = profiles.get(this.namespace) as IDBRequest<KeptEvent[] | undefined>;
      request.onsuccess = () => {
        const events = change(request.result ?? []);
        if (events.length > 0) profiles.put(events, this.namespace);
        else profiles.delete(this.namespace);
      };
      return request;
    });
    this.tell('changed');
  }

  /** The log lines of all tabs, oldest first. Lines of this tab that could not be written come last. */
  async lines(): Promise<string[]> {
    const read = (t: IDBTransaction) => linesOf(t).getAll(this.namespace) as IDBRequest<Line[]>;
    const lines = (await this.within('readonly', LOG, read)) ?? [];
    return [...lines.map(({ line }) => line), ...this.unwritten].slice(-CAPACITY);
  }

  /**
   * Adds lines to the log and tells the other tabs. The transaction starts within this call, so the page may go away at
   * once.
   */
  append(lines: string[]): void {
    if (lines.length === 0) return;
    this.tell({ lines });
    if (this.addToBatch) this.addToBatch(lines);
    else void this.write(lines);
    this.appendedSinceTrim += lines.length;
    if (this.appendedSinceTrim < TRIM_AFTER) return;
    this.appendedSinceTrim = 0;
    void this.within('readwrite', LOG, (t) => this.trim(t, CAPACITY));
  }

  /** The visitor's id for experiments; `fresh` becomes the id if there is none yet. */
  async unit(fresh: string): Promise<string> {
    const unit = await this.within('readwrite', PROFILES, (t) => {
      const profiles = t.objectStore(PROFILES);
      const request = profiles.get(this.unitKey) as IDBRequest<string | undefined>;
      request.onsuccess = () => {
        if (request.result === undefined) profiles.put(fresh, this.unitKey);
      };
      return request;
    });
    return unit ?? fresh;
  }

  /** Erases events, log and id, and tells the other tabs. */
  async clear(): Promise<void> {
    this.unwritten.length = 0;
    await this.within('readwrite', [PROFILES, LOG], (t) => {
      t.objectStore(PROFILES).delete(this.namespace);
      t.objectStore(PROFILES).delete(this.unitKey);
      return this.trim(t, 0);
    });
    this.tell('cleared');
  }

  /** Calls back when another tab has changed something. */
  onNews(callback: (news: News) => void): void {
    this.channel.onmessage = ({ data }) => callback(data as News);
  }

  close(): void {
    this.closed = true;
    this.channel.close();
    this.database.close();
  }

  private tell(news: News): void {
    if (!this.closed) this.channel.postMessage(news);
  }

  /**
   * The result of the request that `work` makes, once its transaction is complete; undefined if that fails. The
   * transaction starts within this call.
   */
  private async within<T>(
    mode: IDBTransactionMode,
    stores: string | string[],
    work: (transaction: IDBTransaction) => IDBRequest<T> | undefined,
  ): Promise<T | undefined> {
    try {
      return await new Promise((resolve, reject) => {
        const transaction = this.database.transaction(stores, mode);
        const request = work(transaction);
        transaction.oncomplete = () => resolve(request?.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } catch (error) {
      if (!this.closed) this.fault ??= String(error);
      return undefined;
    }
  }

  /**
   * Writes lines in one transaction, together with all that `addToBatch` adds before the current task ends. A second
   * transaction would wait for the first one and be lost if the page goes away meanwhile.
   */
  private async write(lines: string[]): Promise<void> {
    const batch = [...lines];
    const key = await this.within('readwrite', LOG, (t) => {
      const put = (line: string) => t.objectStore(LOG).put({ namespace: this.namespace, line } satisfies Line);
      this.addToBatch = (more) => {
        batch.push(...more);
        more.forEach(put);
      };
      // Commits without waiting for the answers: the page may be gone before one comes.
      queueMicrotask(() => {
        this.addToBatch = undefined;
        t.commit();
      });
      return lines.map(put)[0];
    });
    if (key !== undefined) return;
    this.unwritten.push(...batch);
    this.unwritten.splice(0, this.unwritten.length - CAPACITY);
  }

  /** Deletes all but the last `most` lines of the log. */
  private trim(transaction: IDBTransaction, most: number): IDBRequest<IDBValidKey[]> {
    const request = linesOf(transaction).getAllKeys(this.namespace);
    request.onsuccess = () => {
      const old = request.result.slice(0, Math.max(0, request.result.length - most));
      old.forEach((key) => transaction.objectStore(LOG).delete(key));
    };
    return request;
  }
}

/** The log's index by namespace. */
function linesOf(transaction: IDBTransaction): IDBIndex {
  return transaction.objectStore(LOG).index('namespace');
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    let blocked = false;
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) request.result.createObjectStore(PROFILES);
      request.result.createObjectStore(LOG, { autoIncrement: true }).createIndex('namespace', 'namespace');
    };
    request.onsuccess = () => (blocked ? request.result.close() : resolve(request.result));
    request.onerror = () => reject(request.error);
    // The page goes on in memory; the upgrade happens once the other tab is closed.
    request.onblocked = () => {
      blocked = true;
      reject(new Error('another tab holds an older version'));
    };
  });
}
