import { eraseFiles } from './cache.js';
import { said } from './errors.js';
import { consentOf, withdrawals } from './options.js';
import { freshId, IDB_PATIENCE, notErased, Store } from './store.js';
import type { Consent, LoadOptions } from './types.js';
import { answered, sleep } from './waiting.js';

/** Milliseconds in which a tab that is still there erases what it has noted. */
const GRACE = 200;

/**
 * Erases what a visitor takes back, even if the page goes away meanwhile, which cuts off the transaction: a note in
 * localStorage stays until all is erased, and whoever opens the namespace next erases first. Workers have no
 * localStorage, so the page's script does this for them. Where it is denied there are no notes.
 */
export class Erasures {
  /** Why something could not be erased. Nothing is stored then. */
  fault: string | undefined;
  private readonly namespace: string;
  private readonly key: string;
  /** The note of what is being erased here: the consent that is withdrawn, and a random id. */
  private own: string | undefined;
  /** What consent that is given waits for, and all changes after it. */
  private before: Promise<unknown> | undefined;

  constructor(
    private readonly options: LoadOptions,
    /** Called with each change of consent before it is made. */
    private readonly onConsent: (change: Consent) => void,
  ) {
    this.namespace = options.namespace ?? 'default';
    this.key = `foretaste:erasing:${this.namespace}`;
  }

  /** Erases what an earlier page could not. Resolves to the options to load with. */
  async finish(): Promise<LoadOptions> {
    try {
      await this.eraseLeft();
      return this.options;
    } catch (error) {
      this.fault = said(error);
      return { ...this.options, consent: { ...this.options.consent, storage: false } };
    }
  }

  /** Changes consent by `set`. What is left is erased before consent is given. */
  async change(given: unknown, set: (change: Consent) => Promise<void>): Promise<void> {
    const change = consentOf(given, 'consent');
    this.onConsent(change);
    const withdrawn = withdrawals(change);
    let { before } = this;
    if (!withdrawn && this.left()) {
      before = this.eraseLeft();
      this.before = before.catch(() => {});
    }
    const make = () => (before ? before.then(() => set(change)) : set(change));
    return withdrawn ? this.noting(withdrawn, make) : make();
  }

  /** Clears the profile by `clear`. `consent` is what the visitor allows. */
  clear({ storage, profiling }: Required<Consent>, clear: () => Promise<void>): Promise<void> {
    return this.options.storage === 'indexeddb' && storage && profiling ? this.noting(undefined, clear) : clear();
  }

  /** Does work that erases, with a note that is there as this call returns. `consent` is what is taken back. */
  private async noting(consent: Consent | undefined, work: () => Promise<void>): Promise<void> {
    const note = JSON.stringify([consent, freshId()]);
    this.own = note;
    local((storage) => storage.setItem(this.key, note));
    try {
      await work();
      this.drop(note);
    } catch (error) {
      // Whoever hears that nothing was cleared goes on, and what is kept from then on has to stay.
      if (consent) this.own = undefined;
      else this.drop(note);
      throw error;
    }
  }

  /** The note that another page or an earlier try has left. */
  private left(): string | undefined {
    const note = local((storage) => storage.getItem(this.key));
    return note && note !== this.own ? note : undefined;
  }

  private drop(note: string): void {
    this.fault = undefined;
    local((storage) => storage.getItem(this.key) === note && storage.removeItem(this.key));
  }

  /** @throws `storage` */
  private async eraseLeft(): Promise<void> {
    if (!this.left()) return;
    await sleep(GRACE);
    const note = this.left();
    if (!note) return;
    try {
      const consent = local(() => JSON.parse(note)[0] as Consent | null);
      const store = await answered(Store.existing(this.namespace, 0), 'IndexedDB', IDB_PATIENCE);
      const { fault } = (await (consent ? store?.withdraw(consent) : store?.clear())) || {};
      store?.close();
      if (fault) throw fault;
      if (consent?.storage === false) await eraseFiles();
      this.drop(note);
    } catch (error) {
      throw notErased(error);
    }
  }
}

/** Does something with localStorage; undefined where there is none, or none that works. */
function local<T>(work: (storage: Storage) => T): T | undefined {
  try {
    // Node has one, too, and warns if it is touched; it has no document, which is an error here.
    return document && work(localStorage);
  } catch {
    return undefined;
  }
}
