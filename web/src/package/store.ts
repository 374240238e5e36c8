import { json } from './errors.js';
import type { KeptEvent } from './types.js';
import type { Core } from './wasm/core.js';

/** What another tab did. */
export type News = { lines: string[] } | 'changed' | 'cleared';

/**
 * Where events and log outlast the page. Every change is one transaction, so tabs do not overwrite each other's. It never fails who calls it: the page goes on
 * without, and `error` says what went wrong.
 */
export interface Store {
  /** The kept events. */
  read(): Promise<KeptEvent[]>;
  update(change: (events: KeptEvent[]) => KeptEvent[]): Promise<void>;
  /** The lines of the log, of all tabs, oldest first; last such as could not be kept. */
  lines(): Promise<string[]>;
  /** Adds lines to the log: under way at once, whatever becomes of the page. */
  append(lines: string[]): void;
  /** The visitor's id for experiments: `fresh` where there is none yet. */
  unit(fresh: string): Promise<string>;
  /** Forgets events, log and id. */
  clear(): Promise<void>;
  /** Calls back when another tab has changed something. */
  onNews(callback: (news: News) => void): void;
  close(): void;
  /** The first fault since the store was opened. */
  readonly error: string | undefined;
  /** Lines that `restore` took into the core. */
  restored: number;
}

/** Takes what is kept into a core: the events, and the log, for which they are no news. Such as the core refuses stay on the device. */
export async function restore(core: Core, store: Store): Promise<void> {
  const lines = await store.lines();
  store.restored = restoreLines(core, lines);
  await restoreEvents(core, store);
}

/** Takes the kept events into a core. */
export async function restoreEvents(core: Core, store: Store): Promise<void> {
  const events = await store.read();
  readable(() => core.importProfile(json(events, 'events')));
}

/** Takes lines of a log into a core, such parts of them as later slates and assignments ask for. Gives the number of those that were taken. */
export function restoreLines(core: Core, lines: string[]): number {
  let taken = 0;
  for (const line of lines) {
    readable(() => {
      const { type, item, slots, experiment, arm, unit } = JSON.parse(line) as Record<string, string> & { slots?: { item: string }[] };
      // What has an item is an event, whatever its type.
      const [kind, texts] = item !== undefined ? ['event', [item]] : [type, slots?.map((slot) => slot.item) ?? [experiment, arm, unit]];
      core.restore(kind as string, texts as string[]);
      taken += 1;
    });
  }
  return taken;
}

function readable(take: () => void): void {
  try {
    take();
  } catch (error) {
    console.warn('foretaste: what is kept on this device cannot be read:', error);
  }
}

const DATABASE = 'foretaste';
/** Since version 1: events by namespace, and ids for experiments by `[namespace, 'unit']`. */
const PROFILES = 'profiles';
/** Since version 2: lines of all namespaces in the order in which they came, with an index by namespace. */
const LOG = 'log';
type Line = { namespace: string; line: string };
/** Lines that are kept: as many as the core keeps. */
const CAPACITY = 20_000;
/** Lines after which older ones than these leave. */
const TRIMMED = 256;

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 2);
    let late = false;
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) request.result.createObjectStore(PROFILES);
      request.result.createObjectStore(LOG, { autoIncrement: true }).createIndex('namespace', 'namespace');
    };
    request.onsuccess = () => (late ? request.result.close() : resolve(request.result));
    request.onerror = () => reject(request.error);
    // This page goes on without; the upgrade follows when the other one is closed.
    request.onblocked = () => {
      late = true;
      reject(new Error('another tab holds an older version'));
    };
  });
}

/** Opens the IndexedDB of this origin. Fails where the visitor or the browser denies it. */
export async function openStore(namespace: string): Promise<Store> {
  const database = await openDatabase();
  const channel = new BroadcastChannel(`${DATABASE}:${namespace}`);
  const tell = (news: News) => channel.postMessage(news);
  // Beside the events, where the name of no other namespace is.
  const unitKey = [namespace, 'unit'];
  let appended = 0;
  let add: ((lines: string[]) => void) | undefined;
  const unkept: string[] = [];
  let error: string | undefined;
  let closed = false;

  /** The result of the request that `work` makes in one transaction, once that is done; nothing where it fails. */
  const within = async <T>(mode: IDBTransactionMode, table: string | string[], work: (transaction: IDBTransaction) => IDBRequest<T> | void): Promise<T | undefined> => {
    try {
      return await new Promise((resolve, reject) => {
        const transaction = database.transaction(table, mode);
        const request = work(transaction);
        transaction.oncomplete = () => resolve(request?.result);
        transaction.onerror = transaction.onabort = () => reject(transaction.error);
      });
    } catch (fault) {
      if (!closed) error ??= String(fault);
      return undefined;
    }
  };
  const index = (transaction: IDBTransaction) => transaction.objectStore(LOG).index('namespace');
  /** Leaves the last `most` lines. */
  const trim = (transaction: IDBTransaction, most: number) => {
    const request = index(transaction).getAllKeys(namespace);
    request.onsuccess = () => request.result.slice(0, Math.max(0, request.result.length - most)).forEach((key) => transaction.objectStore(LOG).delete(key));
  };
  /** Writes lines, and such as `add` takes before this task ends, in one transaction: one that waits for another is lost with its page. */
  const write = async (lines: string[]) => {
    const all = [...lines];
    const written = await within('readwrite', LOG, (t) => {
      const put = (line: string) => t.objectStore(LOG).put({ namespace, line } satisfies Line);
      add = (more) => {
        all.push(...more);
        more.forEach(put);
      };
      // All is asked for at once: the page may be gone before an answer comes.
      queueMicrotask(() => {
        add = undefined;
        t.commit();
      });
      return lines.map(put)[0];
    });
    if (written !== undefined) return;
    unkept.push(...all);
    unkept.splice(0, unkept.length - CAPACITY);
  };
  // A page of a later version wants to upgrade: it shall not wait for this one.
  database.onversionchange = () => database.close();

  return {
    read: async () => (await within('readonly', PROFILES, (t) => t.objectStore(PROFILES).get(namespace) as IDBRequest<KeptEvent[]>)) ?? [],
    update: async (change) => {
      await within('readwrite', PROFILES, (t) => {
        const table = t.objectStore(PROFILES);
        const request = table.get(namespace);
        request.onsuccess = () => {
          const events = change((request.result as KeptEvent[] | undefined) ?? []);
          if (events.length > 0) table.put(events, namespace);
          else table.delete(namespace);
        };
      });
      if (!closed) tell('changed');
    },
    lines: async () => {
      const lines = (await within('readonly', LOG, (t) => index(t).getAll(namespace) as IDBRequest<Line[]>)) ?? [];
      return [...lines.map(({ line }) => line), ...unkept].slice(-CAPACITY);
    },
    append: (lines) => {
      if (lines.length === 0) return;
      tell({ lines });
      if (add) add(lines);
      else void write(lines);
      appended += lines.length;
      if (appended < TRIMMED) return;
      appended = 0;
      void within('readwrite', LOG, (t) => trim(t, CAPACITY));
    },
    unit: async (fresh) => {
      let unit = fresh;
      await within('readwrite', PROFILES, (t) => {
        const table = t.objectStore(PROFILES);
        const request = table.get(unitKey);
        request.onsuccess = () => {
          if (request.result === undefined) table.put(fresh, unitKey);
          else unit = request.result as string;
        };
      });
      return unit;
    },
    clear: async () => {
      unkept.length = 0;
      await within('readwrite', [PROFILES, LOG], (t) => {
        t.objectStore(PROFILES).delete(namespace);
        t.objectStore(PROFILES).delete(unitKey);
        trim(t, 0);
      });
      if (!closed) tell('cleared');
    },
    onNews: (callback) => {
      channel.onmessage = ({ data }) => callback(data as News);
    },
    close: () => {
      closed = true;
      channel.close();
      database.close();
    },
    restored: 0,
    get error() {
      return error;
    },
  };
}
