import { hex } from './arguments.js';
import { ForetasteError, said } from './errors.js';
import type { Consent } from './types.js';

/**
 * Another tab's visitor has withdrawn consent, and that tab is erasing what is stored. `lines` were in the log, `at` is
 * the time in milliseconds.
 */
export type Withdrawal = { consent: Consent; lines: string[]; at: number };
/** What another tab did: it wrote these lines to the log, it changed the kept events, or it erased everything. */
export type News = { lines: string[] } | 'changed' | 'cleared';

/**
 * What is stored of a profile, oldest first. Other versions of this package may have written it, so an event may be
 * anything.
 */
export type Stored = {
  events: unknown[];
  /** Events that some version could not read. */
  aside: unknown[];
};

/** Milliseconds in which IndexedDB has to open. */
export const IDB_PATIENCE = 5000;
const DATABASE = 'foretaste';
const VERSION = 2;
/**
 * Object store since version 1, by namespace: the events up to some line of the log under the namespace itself, that
 * line's key under `[namespace, 'upto']`, events set aside under `[namespace, 'aside']`, the experiment id under
 * `[namespace, 'unit']`. Namespaces are strings, so no namespace is one of the other keys.
 */
const PROFILES = 'profiles';
/**
 * Object store since version 2: the log lines of all namespaces in the order they were written, with an index by
 * namespace.
 */
const LOG = 'log';
/** A line of the log. `recorded`: it is an event of the profile too, unless it lies before `upto`. */
type Line = { namespace: string; line: string; recorded?: true };
/** Log lines that a namespace keeps: as many as the core keeps. */
export const LOG_CAPACITY = 20_000;
/** Lines to read or to append before the store is tidied. */
const TIDY_AFTER = 256;

/**
 * The events, log and experiment id of one namespace in the IndexedDB of this origin.
 *
 * An event is kept by the one line that it has in the log: neither can be lost without the other, and nothing has to be
 * read before it is written. Each change is one transaction, so tabs never overwrite each other's changes. Only erasing
 * fails: if IndexedDB does elsewhere, the recommender keeps working in memory and `error` says why. Lines that were not
 * written are tried again with the next ones.
 */
export class Store {
  /** Called when another page deletes the database. What is read within this call is still there. */
  onDeleted: () => void = () => {};
  /** When this tab last started to write, in milliseconds. */
  lastWrite = Number.NEGATIVE_INFINITY;
  private readonly channel: BroadcastChannel;
  private fault: string | undefined;
  private closed = false;
  /** Lines that IndexedDB does not have yet, oldest first, and why; undefined while a transaction is writing them. */
  private unwritten = new Map<Line, string | undefined>();
  /** Lines for the transaction that the current task has started; undefined if it has started none. */
  private batch: Line[] | undefined;
  /** Resolves when the last transaction that writes lines is complete. */
  private written = Promise.resolve();
  private untidy = 0;

  private constructor(
    private readonly database: IDBDatabase,
    private readonly namespace: string,
    /** Most events. */
    private readonly cap: number,
  ) {
    this.channel = new BroadcastChannel(`${DATABASE}:${namespace}`);
    // A page of a later version that wants to upgrade the database must not wait for this one.
    database.onversionchange = ({ newVersion }) => {
      if (newVersion === null) this.onDeleted();
      database.close();
    };
  }

  /** Opens the store of a namespace. Rejects if the visitor or the browser denies IndexedDB. */
  static async open(namespace: string, cap: number): Promise<Store> {
    return new Store((await openDatabase(true)) as IDBDatabase, namespace, cap);
  }

  /** The same, if this device has the database; it is not made. */
  static async existing(namespace: string, cap: number): Promise<Store | undefined> {
    const database = typeof indexedDB === 'undefined' ? undefined : await openDatabase(false);
    return database && new Store(database, namespace, cap);
  }

  /** The first error since the store was opened, or why it does not have all lines. */
  get error(): string | undefined {
    return this.fault ?? [...this.unwritten.values()].find(Boolean);
  }

  /** The kept events, each id once, and those set aside. Undefined if they cannot be read. */
  async stored(): Promise<Stored | undefined> {
    const read = await this.within('readonly', [PROFILES, LOG], (t) => this.read(t));
    if (read && read.tail > TIDY_AFTER) void this.tidy();
    return read && { ...read, events: unique([...read.events, ...recordedIn([...this.unwritten.keys()])]) };
  }

  /** Replaces what is stored by what `change` makes of it, and tells the other tabs. */
  async update(change: (stored: Stored) => Partial<Stored>): Promise<void> {
    // An event that is taken away must not come back when its line is written.
    for (const line of this.unwritten.keys()) {
      const [event] = recordedIn([line]);
      const { events } = change({ events: [event], aside: [] });
      if (events && events[0] !== event) delete line.recorded;
    }
    await this.within('readwrite', [PROFILES, LOG], (t) => this.rewrite(t, change));
    this.tell('changed');
  }

  /** The log lines of all tabs, oldest first. Lines of this tab that could not be written come last. */
  async lines(): Promise<string[]> {
    const read = (t: IDBTransaction) => answer(linesOf(t).getAll(this.namespace) as IDBRequest<Line[]>);
    const lines = (await this.within('readonly', LOG, read)) ?? [];
    return textsOf([...lines, ...this.unwritten.keys()]).slice(-LOG_CAPACITY);
  }

  /**
   * Adds lines to the log, if `recorded` as events of the profile too, and tells the other tabs. The transaction starts
   * within this call, so the page may go away at once. Resolves when it is complete.
   */
  append(lines: string[], recorded: boolean): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    this.tell({ lines });
    const all = lines.map((line): Line => ({ namespace: this.namespace, line, ...(recorded && { recorded }) }));
    this.untidy += lines.length;
    if (this.batch) this.batch.push(...all);
    else this.written = this.write(all);
    if (this.untidy >= TIDY_AFTER) void this.tidy();
    return this.written;
  }

  /** The visitor's id for experiments; `fresh` becomes the id if there is none yet. */
  async unit(fresh: string): Promise<string> {
    return (await this.within('readwrite', PROFILES, (t) => this.unitIn(t, fresh))) ?? fresh;
  }

  /**
   * Adds what a visit in memory did, in one transaction and after what is stored. Events and lines that are there
   * already are not added again, and a stored id stays. Resolves to whether IndexedDB took it.
   */
  async merge(events: unknown[], lines: string[], unit: string | undefined): Promise<boolean> {
    const merged = await this.within('readwrite', [PROFILES, LOG], async (t) => {
      if (unit !== undefined) await this.unitIn(t, unit);
      const stored = (await answer(linesOf(t).getAll(this.namespace))) as Line[];
      const known = new Set(stored.map(({ line }) => line));
      for (const line of lines) if (!known.has(line)) t.objectStore(LOG).put({ namespace: this.namespace, line });
      await this.rewrite(t, (stored) => ({ events: unique([...stored.events, ...events]) }));
      return true;
    });
    if (!merged) return false;
    this.tell({ lines });
    this.tell('changed');
    return true;
  }

  /** Erases events, log and id, and tells the other tabs. @throws `storage` */
  async clear(): Promise<void> {
    await this.erase();
    this.tell('cleared');
  }

  /**
   * The visitor has withdrawn consent: erases events, log and id, in a transaction that starts within this call, since
   * the page may go away at once. Tells the other tabs, unless they know; closes the store; and deletes the database if
   * nothing is left in it. Resolves to the log lines that were there, and to what went wrong.
   */
  async withdraw(consent: Consent | undefined): Promise<{ lines: string[]; fault?: unknown }> {
    const at = Date.now();
    const waiting = textsOf([...this.unwritten.keys()]);
    const erased = await this.erase(true).catch(async (fault: unknown) => ({ lines: await this.lines(), isEmpty: false, fault }));
    const lines = [...new Set([...erased.lines, ...waiting])];
    if (consent) this.tell({ consent, lines, at });
    this.close();
    if (erased.isEmpty) await deleteDatabase();
    return { ...erased, lines };
  }

  /** Calls back when another tab has changed something. */
  onNews(callback: (news: News | Withdrawal) => void): void {
    this.channel.onmessage = ({ data }) => {
      if (data === 'cleared') this.unwritten = new Map();
      callback(data as News | Withdrawal);
    };
  }

  close(): void {
    this.closed = true;
    this.channel.close();
    this.database.close();
  }

  private tell(news: News | Withdrawal): void {
    if (!this.closed) this.channel.postMessage(news);
  }

  private key(name: 'upto' | 'aside' | 'unit'): IDBValidKey {
    return [this.namespace, name];
  }

  /** The result of `work` in a transaction, once that is complete. Both start within this call. */
  private async transact<T>(
    mode: IDBTransactionMode,
    stores: string | string[],
    work: (transaction: IDBTransaction) => T | Promise<T>,
  ): Promise<T> {
    if (mode === 'readwrite') this.lastWrite = Date.now();
    const transaction = this.database.transaction(stores, mode);
    const complete = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    try {
      const [result] = await Promise.all([(async () => work(transaction))(), complete]);
      return result;
    } catch (error) {
      attempt(() => transaction.abort());
      throw error;
    }
  }

  /** The same; undefined if it fails. */
  private within<T>(...given: Parameters<typeof this.transact<T>>): Promise<T | undefined> {
    return this.transact(...given).catch((error: unknown) => {
      if (!this.closed) this.fault ??= String(error);
      return undefined;
    });
  }

  private async unitIn(transaction: IDBTransaction, fresh: string): Promise<string> {
    const profiles = transaction.objectStore(PROFILES);
    const kept = (await answer(profiles.get(this.key('unit')))) as unknown;
    if (typeof kept === 'string' && kept !== '') return kept;
    profiles.put(fresh, this.key('unit'));
    return fresh;
  }

  /** Erases the namespace. Resolves to its log lines, if `asked`, and to whether the database is empty then. */
  private async erase(asked = false): Promise<{ lines: string[]; isEmpty: boolean }> {
    // Lines that come now are written after this, and those before it no more.
    this.batch = undefined;
    this.unwritten = new Map();
    const erased = await this.within('readwrite', [PROFILES, LOG], async (t) => {
      const profiles = t.objectStore(PROFILES);
      const read = asked ? answer(linesOf(t).getAll(this.namespace) as IDBRequest<Line[]>) : [];
      profiles.delete(this.namespace);
      // All keys that start with it: no text comes after a list.
      profiles.delete(IDBKeyRange.bound([this.namespace], [this.namespace, []]));
      await this.trim(t, 0);
      const left = await Promise.all([answer(profiles.count()), answer(t.objectStore(LOG).count())]);
      return { lines: textsOf(await read), isEmpty: left.every((count) => count === 0) };
    });
    if (!erased) throw notErased(this.fault);
    return erased;
  }

  /** The stored events, and how many lines of the log were read for them. */
  private async read(transaction: IDBTransaction): Promise<Stored & { tail: number }> {
    const profiles = transaction.objectStore(PROFILES);
    const keys = [this.namespace, this.key('aside'), this.key('upto')];
    const [events, aside, upto] = await Promise.all(keys.map((key) => answer(profiles.get(key) as IDBRequest<unknown>)));
    const request =
      typeof upto === 'number'
        ? transaction.objectStore(LOG).getAll(IDBKeyRange.lowerBound(upto, true))
        : linesOf(transaction).getAll(this.namespace);
    const tail = await answer(request as IDBRequest<Line[]>);
    const own = tail.filter((line) => line?.namespace === this.namespace);
    return { events: unique([...listOf(events), ...recordedIn(own)]), aside: listOf(aside), tail: tail.length };
  }

  private async rewrite(transaction: IDBTransaction, change: (stored: Stored) => Partial<Stored>): Promise<void> {
    const stored = await this.read(transaction);
    const { events = stored.events, aside = stored.aside } = change(stored);
    const last = await answer(transaction.objectStore(LOG).openKeyCursor(null, 'prev'));
    const profiles = transaction.objectStore(PROFILES);
    const put = (value: unknown[], key: IDBValidKey) => (value.length > 0 ? profiles.put(value, key) : profiles.delete(key));
    put(events.slice(-this.cap), this.namespace);
    put(aside, this.key('aside'));
    if (last) profiles.put(last.key, this.key('upto'));
  }

  /** Gathers the events of the log's last lines and deletes lines over the capacity. */
  private async tidy(): Promise<void> {
    this.untidy = 0;
    await this.within('readwrite', [PROFILES, LOG], async (t) => {
      await this.rewrite(t, (stored) => stored);
      await this.trim(t, LOG_CAPACITY);
    });
  }

  /**
   * Writes lines in one transaction, after those that an earlier one has failed to write, and together with all that
   * `batch` gets before the current task ends. A second transaction would wait for the first one and be lost if the
   * page goes away meanwhile.
   */
  private async write(lines: Line[]): Promise<void> {
    const { unwritten } = this;
    const failed = [...unwritten.keys()].filter((line) => unwritten.get(line));
    const batch = [...failed.slice(0, TIDY_AFTER), ...lines];
    this.batch = batch;
    const note = (why?: string) => batch.forEach((line) => unwritten.set(line, why));
    try {
      await this.transact('readwrite', LOG, async (t) => {
        // What the current task does first may add lines.
        await undefined;
        this.batch = undefined;
        note();
        for (const line of batch) t.objectStore(LOG).put(line);
        // Commits without waiting for the answers: the page may be gone before one comes.
        attempt(() => t.commit());
      });
      batch.forEach((line) => unwritten.delete(line));
      if (batch.some(({ recorded }) => recorded)) this.tell('changed');
    } catch (error) {
      // Perhaps no transaction could start.
      this.batch = undefined;
      note(String(error));
      for (const line of unwritten.keys()) if (unwritten.size > LOG_CAPACITY) unwritten.delete(line);
    }
  }

  /** Deletes all but the last `most` lines of the log. */
  private async trim(transaction: IDBTransaction, most: number): Promise<void> {
    const keys = await answer(linesOf(transaction).getAllKeys(this.namespace));
    for (const key of keys.slice(0, Math.max(0, keys.length - most))) transaction.objectStore(LOG).delete(key);
  }
}

/** The result of a request. The transaction stays open for what follows at once. */
function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function listOf(value: unknown): unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function textsOf(lines: Line[]): string[] {
  return lines.map(({ line }) => line).filter((line) => typeof line === 'string');
}

/** The events of the lines that are also events of the profile. */
function recordedIn(lines: Line[]): unknown[] {
  const events = lines.filter(({ recorded }) => recorded).map(({ line }) => attempt(() => JSON.parse(line) as unknown));
  return events.filter((event) => event !== undefined);
}

/** The id of a stored event; undefined if it has none. */
export function idOf(event: unknown): string | undefined {
  const id = (event as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'string' ? id : undefined;
}

/** The events without those whose id an earlier one has: two tabs may have recorded the same event. */
function unique(events: unknown[]): unknown[] {
  const ids = new Set<string>();
  return events.filter((event) => {
    const id = idOf(event);
    return id === undefined || (!ids.has(id) && ids.add(id));
  });
}

/** A random id, also where the page's address is not secure and the browser makes none. */
export function freshId(): string {
  return crypto.randomUUID?.() ?? hex(crypto.getRandomValues(new Uint8Array(16)));
}

/** The log's index by namespace. */
function linesOf(transaction: IDBTransaction): IDBIndex {
  return transaction.objectStore(LOG).index('namespace');
}

/** The error of data that may still be on the device. */
export function notErased(cause: unknown): ForetasteError {
  if (cause instanceof ForetasteError) return cause;
  return new ForetasteError('storage', `the device may not have erased what it keeps: ${said(cause)}`, 'storage', { cause });
}

/** Deletes the database. Other pages that have it open make it anew. If one of them is asleep, this does not wait. */
function deleteDatabase(): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(DATABASE);
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
}

/** Opens the database. Undefined if it is not there and shall not be made. */
function openDatabase(make: boolean): Promise<IDBDatabase | undefined> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    let [blocked, missing] = [false, false];
    request.onupgradeneeded = ({ oldVersion }) => {
      missing = oldVersion < 1 && !make;
      // A database whose first transaction is aborted is not there afterwards.
      if (missing) return request.transaction?.abort();
      if (oldVersion < 1) request.result.createObjectStore(PROFILES);
      request.result.createObjectStore(LOG, { autoIncrement: true }).createIndex('namespace', 'namespace');
    };
    request.onsuccess = () => (blocked ? request.result.close() : resolve(request.result));
    request.onerror = () => (missing ? resolve(undefined) : reject(request.error));
    // The page goes on in memory; the upgrade happens once the other tab is closed.
    request.onblocked = () => {
      blocked = true;
      reject(new Error('another tab holds an older version'));
    };
  });
}
