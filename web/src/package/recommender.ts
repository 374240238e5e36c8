import { ForetasteError, json, typed } from './errors.js';
import type { Towers } from './modules.js';
import { restore, type Store } from './store.js';
import type { Event, Features, Info, Item, KeptEvent, Request, Slate } from './types.js';
import type { Core } from './wasm/core.js';

/** What a recommender is made of. */
export interface Parts {
  core: Core;
  /** The manifest. */
  info: Info;
  /** The towers, on their way. */
  towers: Promise<Towers>;
  store: Store | undefined;
  storageError: string | undefined;
  /** Fetches the bundle's worked examples, for checks alone. */
  golden: () => Promise<Uint8Array>;
}

/** Recommends from one bundle, for the visitor of this device. */
export class Recommender {
  /** Settles when the model is there; `recommend` and `rank` wait for it by themselves. */
  readonly ready: Promise<void>;
  /** The visitor's kept events. */
  readonly profile: Profile;

  private model: Features['model'] = 'loading';
  private towers: Towers | undefined;
  private disposed = false;

  /** @internal Use `load`. */
  constructor(private readonly parts: Parts) {
    this.ready = parts.towers.then(
      (towers) => {
        if (this.disposed) return towers.dispose();
        this.towers = towers;
        parts.core.setRuntime((graph: string, inputs: never) => towers.run(graph, inputs));
        this.model = 'ready';
      },
      (error: unknown) => {
        this.model = 'failed';
        throw error;
      },
    );
    // Whoever waits hears of a failure; nobody has to wait.
    this.ready.catch(() => {});
    this.profile = new Profile(() => this.core(), parts.info.encoding.history.cap, parts.store);
  }

  private core(): Core {
    if (this.disposed) throw new ForetasteError('disposed', 'the recommender was disposed of', 'recommender');
    return this.parts.core;
  }

  /** The items for this visitor, best first; the slate is written to the log. */
  async recommend(request: Request = {}): Promise<Slate> {
    await this.modelReady();
    const core = this.core();
    return typed(() => core.recommend(json(this.withTime(request), 'request')) as Slate);
  }

  /** The given items, best first; seen ones are ranked too. */
  async rank(ids: string[], request: Request = {}): Promise<Item[]> {
    await this.modelReady();
    const core = this.core();
    return typed(() => core.rank(ids, json(this.withTime(request), 'request')) as Item[]);
  }

  private async modelReady(): Promise<void> {
    await this.ready;
    await this.towers?.settled();
  }

  /** A new visitor has no last event whose time could stand for the request's. */
  private withTime(request: Request): Request {
    if (request.time !== undefined || this.core().count() > 0) return request;
    return { tz_offset_min: -new Date().getTimezoneOffset(), ...request, time: Date.now() };
  }

  /** The best items for a vector of your own, `[dim]`; needs no model and writes no log. */
  async search(vector: Float32Array, { k = 10, effort = 'accurate' }: Pick<Request, 'k' | 'effort'> = {}): Promise<Item[]> {
    const core = this.core();
    const { rows, scores } = typed(() => core.search(vector, k, effort === 'fast') as { rows: Uint32Array; scores: Float32Array });
    return typed(() => core.items(rows, scores) as Item[]);
  }

  /** Items like one item, by the cosine of their vectors; needs no model. */
  async similar(id: string, { k = 10 }: { k?: number } = {}): Promise<Item[]> {
    const core = this.core();
    return typed(() => core.similar(id, k) as Item[]);
  }

  /** Items whose title or id contains the text; without a text the popular ones. Needs no model. */
  async find(text: string, { k = 10 }: { k?: number } = {}): Promise<Item[]> {
    const core = this.core();
    return typed(() => core.find(text, k) as Item[]);
  }

  /** Adds an event to profile and log. */
  async record(event: Event): Promise<KeptEvent> {
    return this.profile.add(event);
  }

  /** Slates and events so far, as JSON lines. */
  async exportLog(): Promise<string> {
    const core = this.core();
    return typed(() => core.exportLog());
  }

  /** What the bundle says of itself. */
  async info(): Promise<Info> {
    this.core();
    return structuredClone(this.parts.info);
  }

  /** What is at hand. */
  features(): Features {
    const { store, storageError } = this.parts;
    return {
      storage: store ? 'indexeddb' : 'memory',
      ...(storageError !== undefined && { storageError }),
      model: this.model,
      policies: ['greedy', 'epsilon-greedy'],
    };
  }

  /** Replays the bundle's golden rows and gives what differs: nothing, where this device computes what the trainer did. */
  async replayGolden(): Promise<string[]> {
    const golden = await this.parts.golden();
    await this.modelReady();
    const core = this.core();
    typed(() => core.check('golden.json', golden));
    return typed(() => core.replayGolden(golden) as string[]);
  }

  /** Frees all memory. What was kept on the device stays. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.towers?.dispose();
    this.parts.store?.close();
    this.parts.core.free();
  }
}

/** The kept events of the visitor. */
export class Profile {
  /** @internal */
  constructor(
    private readonly core: () => Core,
    private readonly cap: number,
    private readonly store: Store | undefined,
  ) {
    store?.onChange(() => void restore(this.core(), store));
  }

  /** @internal */
  async add(event: Event): Promise<KeptEvent> {
    const core = this.core();
    const full = {
      id: globalThis.crypto.randomUUID(),
      type: event.value === undefined ? 'view' : 'rate',
      time: Date.now(),
      tz_offset_min: -new Date().getTimezoneOffset(),
      ...event,
    };
    const kept = typed(() => core.record(json(full, 'event')) as KeptEvent);
    await this.store?.update((events) => [...events, kept].slice(-this.cap));
    return kept;
  }

  /** The events, oldest first. */
  async get(): Promise<KeptEvent[]> {
    const core = this.core();
    return typed(() => core.profile() as KeptEvent[]);
  }

  /** Removes an event; tells whether there was one. */
  async remove(eventId: string): Promise<boolean> {
    const core = this.core();
    const removed = typed(() => core.remove(eventId));
    await this.store?.update((events) => events.filter((event) => event.id !== eventId));
    return removed;
  }

  /** The events as text, for `import`. */
  async export(): Promise<string> {
    return JSON.stringify(await this.get());
  }

  /** Replaces all events. Nothing changes where one is refused. */
  async import(events: string | Event[]): Promise<void> {
    const core = this.core();
    const given: unknown = typeof events === 'string' ? parse(events) : events;
    typed(() => core.importProfile(json(given, 'events')));
    const kept = await this.get();
    await this.store?.update(() => kept);
  }

  /** Forgets events and log, here and on the device, in all tabs. */
  async clear(): Promise<void> {
    const core = this.core();
    typed(() => core.clear());
    await this.store?.update(() => []);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForetasteError('malformed', `the text is not a profile: ${String(error)}`, 'profile', { cause: error });
  }
}
