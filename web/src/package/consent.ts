import type { Plain } from './arguments.js';
import type { FileCache } from './cache.js';
import { said } from './errors.js';
import type { Log } from './log.js';
import type { LastingCore } from './modules.js';
import { withdrawals } from './options.js';
import type { LocalProfile } from './profile.js';
import { freshId, IDB_PATIENCE, notErased, Store, type Withdrawal } from './store.js';
import type { Consent, Features, LoadOptions } from './types.js';
import { answered } from './waiting.js';

/** Milliseconds in which news come that explain why the database is gone. */
const NEWS = 200;
/** Milliseconds between the clocks of two tabs, and between a write and the news of it. */
const SLACK = 1000;

/** What the visitor allows, and what follows for profile, log, store and kept files. */
export class VisitorConsent {
  private readonly consent: Required<Consent>;
  private storageError: string | undefined;
  /** The store is taking what this visit did without it: a page that goes away now loses that. */
  private entering = false;
  /** Changes are made one after another. */
  private turn: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly options: LoadOptions,
    /** Most events. */
    private readonly cap: number,
    private readonly core: LastingCore,
    private readonly log: Log,
    private readonly profile: LocalProfile,
    private readonly cache: FileCache,
    /** Called after each change. */
    private readonly onChange: () => void = () => {},
  ) {
    this.consent = { storage: true, profiling: true, ...options.consent };
    log.muted = !this.consent.profiling;
  }

  features(): Pick<Features, 'storage' | 'storageError' | 'consent'> {
    const { store } = this.log;
    const storageError = store?.error ?? this.storageError;
    return {
      storage: store && !this.entering ? 'indexeddb' : 'memory',
      ...(storageError !== undefined && { storageError }),
      consent: { ...this.consent },
    };
  }

  /** Opens the store for a recommender that has done nothing yet, if the page wants one and the visitor allows it. */
  async open(): Promise<Store | undefined> {
    this.log.store = await this.openStore();
    return this.log.store;
  }

  /** Makes a change that was checked. */
  set(change: Consent): Promise<void> {
    return this.inTurn(() => this.change(change));
  }

  named(request: { [key: string]: Plain }, always: boolean): { [key: string]: Plain } {
    const { explore = {} } = request;
    if (!(always || this.wanted) || typeof explore !== 'object' || explore === null) return request;
    return { ...request, explore: { decision: freshId(), ...explore } };
  }

  close(): void {
    this.closed = true;
    this.log.store?.close();
  }

  private get wanted(): boolean {
    return this.options.storage === 'indexeddb';
  }

  private get namespace(): string {
    return this.options.namespace ?? 'default';
  }

  private inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work).finally(this.onChange);
    this.turn = done.catch(() => {});
    return done;
  }

  private async openStore(): Promise<Store | undefined> {
    if (!this.wanted || !this.consent.storage || !this.consent.profiling) return undefined;
    this.storageError = undefined;
    const opening = Store.open(this.namespace, this.cap);
    const failed = (error: unknown) => {
      this.storageError = said(error);
    };
    try {
      const store = await answered(opening, 'IndexedDB', IDB_PATIENCE);
      store.onNews((news) => {
        if (typeof news === 'object' && 'consent' in news) this.inTurn(() => this.change(news.consent, news)).catch(failed);
        else if (this.log.store === store) this.profile.take(store, news);
      });
      store.onDeleted = () => this.reopen(store);
      if (this.closed) store.close();
      return store;
    } catch (error) {
      // One that opens late is not used.
      void opening.then((store) => store.close()).catch(() => {});
      // Private windows and strict settings deny storage; the page still recommends.
      failed(error);
      return undefined;
    }
  }

  /**
   * Another page has found the database empty and deletes it. Goes on in a new one, unless news come that the visitor
   * has withdrawn consent.
   */
  private reopen(store: Store): void {
    if (this.log.store !== store) return;
    this.profile.leave(store.lines());
    const enter = async () => {
      store.close();
      await this.enter();
    };
    setTimeout(() => this.inTurn(enter).catch(() => {}), NEWS);
  }

  /** Goes on in the store, if there shall be one. */
  private async enter(): Promise<void> {
    if (this.log.store) return;
    const store = await this.openStore();
    if (!store) return;
    this.entering = true;
    try {
      if (await this.profile.enter(store)) return;
      this.storageError = store.error;
      store.close();
    } finally {
      this.entering = false;
      if (this.closed) store.close();
    }
  }

  /** Makes a change; `heard` if another tab has made it. */
  private async change(change: Consent, heard?: Withdrawal): Promise<void> {
    const withdrawn = withdrawals(change);
    // What the visitor takes back is erased even if the page disposes of the recommender at once.
    if (!withdrawn) this.core.check();
    Object.assign(this.consent, change);
    const { store, muted } = this.log;
    this.log.muted = !this.consent.profiling;
    const forgets = change.profiling !== undefined && (muted || this.log.muted);
    const erasing: Promise<unknown>[] = [];
    if (withdrawn) {
      const left = heard ? this.follow(store, heard) : this.erase(store, withdrawn);
      this.profile.leave(left.then(({ lines }) => lines));
      erasing.push(left.then(({ fault }) => fault && Promise.reject(fault)));
    }
    if (change.storage) await this.cache.allow();
    else if (change.storage === false) erasing.push(this.cache.erase());
    const results = await Promise.allSettled(erasing);
    if (forgets && !this.closed) await this.core.use((core) => this.profile.forget(core));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw notErased(failed.reason);
    if (!this.closed) await this.enter();
  }

  /** Erases what the device has of the namespace. Resolves to the log lines that were there, and to what went wrong. */
  private async erase(store: Store | undefined, consent: Consent): Promise<{ lines: string[]; fault?: unknown }> {
    try {
      const opened = store ?? (await answered(Store.existing(this.namespace, this.cap), 'IndexedDB', IDB_PATIENCE));
      return (await opened?.withdraw(consent)) ?? { lines: [] };
    } catch (fault) {
      return { lines: [], fault: notErased(fault) };
    }
  }

  /** Follows another tab. What this one wrote just before it heard of it has to be erased, too. */
  private async follow(store: Store | undefined, heard: Withdrawal): Promise<{ lines: string[]; fault?: unknown }> {
    if (!store) return heard;
    if (store.lastWrite > heard.at - SLACK) {
      const { lines, fault } = await store.withdraw(undefined);
      return { lines: [...heard.lines, ...lines], fault };
    }
    const lines = await store.lines();
    store.close();
    return { lines: [...heard.lines, ...lines] };
  }
}
