import { now, type Plain, plain, plainObject, text } from './arguments.js';
import { allowed, ForetasteError, said } from './errors.js';
import type { Log } from './log.js';
import type { LastingCore } from './modules.js';
import { freshId, idOf, type News, type Store, type Stored } from './store.js';
import type { Event, KeptEvent, Profile } from './types.js';
import type { Core } from './wasm/core.js';

/** Version of an exported profile. */
const VERSION = 1;

/** The kept events: the core's, and here again, because a trap takes those of the core. */
export class LocalProfile implements Profile {
  /** Stored events that this version cannot read. */
  unreadable: unknown[] = [];
  private events: KeptEvent[] = [];
  /** How often the visitor has changed the events here. */
  private changes = 0;
  /** The visitor's id for experiments where there is no store. */
  private ownUnit: string | undefined;
  /** The last one of the store. */
  private storedUnit: string | undefined;

  constructor(
    private readonly core: LastingCore,
    /** Most events. */
    private readonly cap: number,
    private readonly log: Log,
  ) {}

  private get store(): Store | undefined {
    return this.log.store;
  }

  /** How many events are kept. */
  get size(): number {
    return this.events.length;
  }

  async add(event: Event): Promise<KeptEvent> {
    this.core.check();
    const given = plainObject(event, 'event');
    const type = given.value === undefined ? 'view' : 'rate';
    const tz_offset_min = -new Date().getTimezoneOffset();
    const asked = JSON.stringify({ id: freshId(), type, time: now(), tz_offset_min, ...given });
    let stored: Promise<void> | undefined;
    const kept = await this.core.use((core) => {
      const kept = core.record(asked) as KeptEvent;
      if (this.log.muted) {
        core.remove(kept.id);
        core.takeBack();
        return kept;
      }
      // An answer tells that the slate was seen.
      if (kept.slate !== undefined) this.log.seenItem(core, kept.slate, kept.item);
      this.events.push(kept);
      if (this.events.length > this.cap) this.events.shift();
      this.changes += 1;
      stored = this.log.recorded(kept);
      return kept;
    });
    if (stored) await stored;
    return { ...kept };
  }

  /** The visitor's id for experiments. */
  async unit(): Promise<string> {
    this.ownUnit ??= freshId();
    this.storedUnit = await this.store?.unit(this.ownUnit);
    return this.storedUnit ?? this.ownUnit;
  }

  async get(): Promise<KeptEvent[]> {
    this.core.check();
    return this.events.map((event) => ({ ...event }));
  }

  async remove(eventId: string): Promise<boolean> {
    const id = text(eventId, 'eventId');
    const others = (events: unknown[]) => events.filter((event) => (event as KeptEvent | null)?.id !== id);
    const removed = await this.core.use((core) => {
      const removed = core.remove(id);
      this.set(others(this.events) as KeptEvent[]);
      return removed;
    });
    await this.store?.update(({ events }) => ({ events: others(events) }));
    return removed;
  }

  async export(): Promise<string> {
    return JSON.stringify({ version: VERSION, events: await this.get() });
  }

  async import(events: string | Event[]): Promise<void> {
    const given = JSON.stringify(eventsOf(plain(typeof events === 'string' ? parse(events) : events, 'events')));
    await this.core.use((core) => {
      const kept = core.importProfile(given) as KeptEvent[];
      if (this.log.muted) core.clear();
      else this.set(kept);
    });
    const kept = [...this.events];
    await this.store?.update(() => ({ events: kept }));
  }

  async clear(): Promise<void> {
    let cleared: Promise<void> | undefined;
    await this.core.use((core) => {
      this.forget(core);
      // Within this call: what is recorded next has to come after it.
      cleared = this.store?.clear();
    });
    await cleared;
  }

  private set(events: KeptEvent[]): void {
    this.events = events;
    this.changes += 1;
  }

  /** Gives the events to a new core. */
  restore(core: Core): void {
    this.events = restoreEvents(core, this.events).events;
  }

  /** Takes what another tab did. */
  take(store: Store, news: News): void {
    const taken =
      news === 'changed'
        ? this.refresh(store)
        : this.core.use((core) => (news === 'cleared' ? this.forget(core) : this.log.take(core, news.lines)));
    // The recommender may be gone, or its core not come back: then nobody waits for news.
    taken.catch(() => {});
  }

  /** Goes on in a store, which gets what is here. If it does not take that, goes on here and resolves to false. */
  async enter(store: Store): Promise<boolean> {
    let lines: string[] = [];
    const merged = await this.log.enter(store, (here) => {
      lines = here;
      return store.merge(this.events, here, this.ownUnit);
    });
    if (merged) await this.setAside(store, await this.refresh(store, true));
    else this.leave(store.lines().then((stored) => [...lines, ...stored]));
    return merged;
  }

  /** Goes on without the store, with the log lines that come. */
  leave(lines: Promise<string[]>): void {
    this.ownUnit = this.storedUnit ?? this.ownUnit;
    this.log.leave(lines);
  }

  /** Takes the events of the store, and the log if `whole`. Undefined if they cannot be read. */
  async refresh(store: Store, whole = false): Promise<Stored | undefined> {
    const state = () => this.changes + (whole ? this.log.taken : 0);
    for (;;) {
      const before = state();
      const lines = whole && (await store.lines());
      const stored = await store.stored();
      if (!stored) return undefined;
      const taken = await this.core.use((core) => {
        // What was recorded meanwhile is in the store, but not in what was read.
        if (before !== state()) return false;
        if (lines) {
          core.clear();
          this.log.restore(core, lines);
        }
        const { events, unreadable } = restoreEvents(core, [...stored.aside, ...stored.events]);
        [this.events, this.unreadable] = [events, unreadable];
        return true;
      });
      if (taken) return stored;
    }
  }

  /** Sets aside in the store what this version cannot read, and takes back what it can. Once a visit is enough. */
  async setAside(store: Store, stored: Stored | undefined): Promise<void> {
    if (!stored) return;
    const { events, aside } = stored;
    const ids = new Set([undefined, ...this.unreadable.map(idOf)]);
    const isUnreadable = (event: unknown) => ids.has(idOf(event));
    if (!events.some(isUnreadable) && aside.every(isUnreadable)) return;
    await store.update((now) => {
      const all = [...now.aside, ...now.events];
      return { events: all.filter((event) => !isUnreadable(event)), aside: all.filter(isUnreadable) };
    });
  }

  /** Forgets everything. */
  forget(core: Core): void {
    core.clear();
    this.log.forget();
    this.set([]);
    this.unreadable = [];
    this.ownUnit = this.storedUnit = undefined;
  }
}

/**
 * Replaces the events of a core by stored ones. Returns the events as it keeps them, and those that it cannot read or
 * that have no id.
 */
function restoreEvents(core: Core, stored: unknown[]): { events: KeptEvent[]; unreadable: unknown[] } {
  const load = (events: unknown[]) => {
    if (events.some((event) => idOf(event) === undefined)) return undefined;
    return allowed(() => core.importProfile(JSON.stringify(plain(events, 'events'))) as KeptEvent[]);
  };
  const all = load(stored);
  if (all) return { events: all, unreadable: [] };
  const unreadable = new Set(stored.filter((event) => !load([event])));
  return { events: load(stored.filter((event) => !unreadable.has(event))) ?? [], unreadable: [...unreadable] };
}

/** The events of what `export` wrote, or a page's own list. Before version 1 `export` wrote a list, too. */
function eventsOf(given: Plain): Plain {
  const { version, events } = (given ?? {}) as { version?: unknown; events?: Plain };
  if (typeof version !== 'number' || events === undefined) return given;
  if (version === VERSION) return events;
  throw new ForetasteError('too-new', `the profile has version ${version}, the newest known is ${VERSION}`, 'profile');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForetasteError('malformed', `the text is not a profile: ${said(error)}`, 'profile', { cause: error });
  }
}
