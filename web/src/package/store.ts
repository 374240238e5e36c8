import { json } from './errors.js';
import type { KeptEvent } from './types.js';
import type { Core } from './wasm/core.js';

/** Where events outlast the page. Every change is one transaction, so tabs do not overwrite each other's. */
export interface Store {
  read(): Promise<KeptEvent[]>;
  update(change: (events: KeptEvent[]) => KeptEvent[]): Promise<void>;
  /** The visitor's id for experiments: `fresh` where there is none yet. */
  unit(fresh: string): Promise<string>;
  /** Forgets events and id. */
  clear(): Promise<void>;
  /** Calls back when another tab has changed the events. */
  onChange(callback: () => void): void;
  close(): void;
}

/** Takes the kept events into a core: they are no news for its log. Such as it refuses stay on the device. */
export async function restore(core: Core, store: Store): Promise<void> {
  const events = await store.read();
  try {
    core.importProfile(json(events, 'events'));
  } catch (error) {
    console.warn('foretaste: the events kept on this device cannot be read:', error);
  }
}

const DATABASE = 'foretaste';
const TABLE = 'profiles';

/** Opens the IndexedDB of this origin. Fails where the visitor or the browser denies it. */
export async function openStore(namespace: string): Promise<Store> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('another tab holds an older version'));
  });
  const channel = new BroadcastChannel(`${DATABASE}:${namespace}`);
  // Beside the events, where the name of no other namespace is.
  const unitKey = [namespace, 'unit'];
  /** What `work` leaves in its result, once it is on the device. */
  const write = <T>(work: (table: IDBObjectStore, result: { value?: T }) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      const transaction = database.transaction(TABLE, 'readwrite');
      const result: { value?: T } = {};
      work(transaction.objectStore(TABLE), result);
      transaction.oncomplete = () => resolve(result.value as T);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  return {
    read: () =>
      new Promise((resolve, reject) => {
        const request = database.transaction(TABLE).objectStore(TABLE).get(namespace);
        request.onsuccess = () => resolve((request.result as KeptEvent[] | undefined) ?? []);
        request.onerror = () => reject(request.error);
      }),
    update: async (change) => {
      await write<void>((table) => {
        const request = table.get(namespace);
        request.onsuccess = () => {
          const events = change((request.result as KeptEvent[] | undefined) ?? []);
          if (events.length > 0) table.put(events, namespace);
          else table.delete(namespace);
        };
      });
      channel.postMessage('changed');
    },
    unit: (fresh) =>
      write((table, result) => {
        const request = table.get(unitKey);
        request.onsuccess = () => {
          result.value = (request.result as string | undefined) ?? fresh;
          if (request.result === undefined) table.put(fresh, unitKey);
        };
      }),
    clear: async () => {
      await write<void>((table) => {
        table.delete(namespace);
        table.delete(unitKey);
      });
      channel.postMessage('changed');
    },
    onChange: (callback) => {
      channel.onmessage = callback;
    },
    close: () => {
      channel.close();
      database.close();
    },
  };
}
