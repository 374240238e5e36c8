import { ForetasteError, typed } from './errors.js';
import { toJson } from './json.js';
import type { Found } from './messages.js';
import { sha256, type Towers } from './modules.js';
import { restoreEvents, restoreLines } from './restore.js';
import type { Shards } from './shards.js';
import type { Store } from './store.js';
import type { Event, Experiment, Features, Info, Item, KeptEvent, Profile, Recommender, Request, Slate } from './types.js';
import { Core } from './wasm/core.js';

/** What `loadLocal` makes a recommender from. */
export interface Parts {
  core: Core;
  /** The manifest. */
  info: Info;
  /** The towers, which may still be loading; undefined if the page asked for none. */
  towers: Promise<Towers> | undefined;
  store: Store | undefined;
  storageError: string | undefined;
  /** Log lines of the store that the core has already. */
  restoredLines: number;
  /** Fetches the bundle's golden rows, which only `replayGolden` needs. */
  golden: () => Promise<Uint8Array<ArrayBuffer>>;
  /** Workers that search a part of the catalog each. */
  shards: Shards | undefined;
}

/** The rest of a search that goes by scores alone. */
const NO_LIFT = new Float32Array();
const NONE_REMOVED = new Uint32Array();

/** A recommender that works in the thread that loaded it. */
export class LocalRecommender implements Recommender {
  readonly ready: Promise<void>;
  readonly profile: LocalProfile;

  private readonly log: Log;
  private model: Features['model'];
  private towers: Towers | undefined;
  private disposed = false;

  constructor(private readonly parts: Parts) {
    this.model = parts.towers ? 'loading' : 'none';
    this.ready = Promise.resolve(parts.towers).then(
      (towers) => {
        if (!towers) return;
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
    // Nobody has to await `ready`: without this a failure would be an unhandled rejection.
    this.ready.catch(() => {});
    const core = () => this.core();
    this.log = new Log(core, parts.store, parts.restoredLines);
    this.profile = new LocalProfile(core, parts.info.encoding.history.cap, parts.store, this.log);
  }

  private core(): Core {
    if (this.disposed) throw new ForetasteError('disposed', 'the recommender was disposed of', 'recommender');
    return this.parts.core;
  }

  async recommend(request: Request = {}): Promise<Slate> {
    await this.modelReady(request);
    const core = this.core();
    const text = this.requestText(request);
    const { shards } = this.parts;
    if (!shards) return this.log.writing(() => core.recommend(text) as Slate);
    const pending = typed(() => core.ask(text));
    const { rows, scores } = await shards.search(core, pending);
    return this.log.writing(() => this.core().answer(pending, rows, scores) as Slate);
  }

  async rank(ids: string[], request: Request = {}): Promise<Item[]> {
    await this.modelReady(request);
    const core = this.core();
    const text = this.requestText(request);
    return typed(() => core.rank(ids, text) as Item[]);
  }

  /** Waits for the tower, unless the request has a vector of its own. */
  private async modelReady(request: Request = {}): Promise<void> {
    if (request.vector) return;
    await this.ready;
    await this.towers?.restarted();
  }

  /**
   * A request as the core reads it. The core takes the time of the last event if there is none; a new visitor has no
   * event.
   */
  private requestText(request: Request): string {
    const hasTime = request.time !== undefined || this.core().count() > 0;
    const now = hasTime ? {} : { tz_offset_min: -new Date().getTimezoneOffset(), ...request, time: Date.now() };
    return toJson({ ...request, ...now, ...(request.vector && { vector: Array.from(request.vector) }) }, 'request');
  }

  async search(vector: Float32Array, { k = 10, effort = 'accurate' }: Pick<Request, 'k' | 'effort'> = {}): Promise<Item[]> {
    const core = this.core();
    const { shards } = this.parts;
    const search = { vector, k, effort: effort === 'fast' ? 1 : 0, lift: NO_LIFT, removed: NONE_REMOVED };
    const { rows, scores } = shards
      ? await shards.search(core, search)
      : typed(() => core.search(vector, k, search.effort, NO_LIFT, NONE_REMOVED) as Found);
    return typed(() => this.core().items(rows, scores) as Item[]);
  }

  async similar(id: string, { k = 10 }: { k?: number } = {}): Promise<Item[]> {
    const core = this.core();
    return typed(() => core.similar(id, k) as Item[]);
  }

  async find(text: string, { k = 10 }: { k?: number } = {}): Promise<Item[]> {
    const core = this.core();
    return typed(() => core.find(text, k) as Item[]);
  }

  async record(event: Event): Promise<KeptEvent> {
    return this.profile.add(event);
  }

  async assign({ name, arms, unit }: Experiment): Promise<string> {
    this.core();
    // The core's types hold only strings and numbers: anything else becomes a value that the core refuses.
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const pairs = Object.entries(arms ?? {});
    const names = pairs.map(([arm]) => arm);
    const weights = Float64Array.from(pairs, ([, weight]) => (typeof weight === 'number' ? weight : NaN));
    const unitId = text(unit === undefined ? await this.profile.unit() : unit);
    const core = this.core();
    return this.log.writing(() => core.assign(text(name), unitId, names, weights, Date.now()));
  }

  async exportLog(): Promise<string> {
    this.core();
    const lines = await this.log.lines();
    return lines.map((line) => `${line}\n`).join('');
  }

  async info(): Promise<Info> {
    this.core();
    return structuredClone(this.parts.info);
  }

  features(): Features {
    const { store } = this.parts;
    const storageError = this.parts.storageError ?? store?.error;
    return {
      storage: store ? 'indexeddb' : 'memory',
      ...(storageError !== undefined && { storageError }),
      model: this.model,
      policies: Core.policies(),
      workers: this.parts.shards?.count ?? 0,
    };
  }

  async replayGolden(): Promise<string[]> {
    const golden = await this.parts.golden();
    await this.modelReady();
    const core = this.core();
    const hash = await sha256(golden);
    typed(() => core.check('golden.json', golden.length, hash));
    return typed(() => core.replayGolden(golden) as string[]);
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.towers?.dispose();
    this.parts.shards?.stop();
    this.parts.store?.close();
    this.parts.core.free();
  }
}

/** The log of a core, and its copy in the store. */
class Log {
  constructor(
    private readonly core: () => Core,
    private readonly store: Store | undefined,
    /** Lines of the core that the store has or is writing. */
    private stored: number,
  ) {}

  /** Makes a call to the core that may write log lines, and stores those lines. */
  writing<T>(call: () => T): T {
    const result = typed(call);
    if (this.store) {
      const lines = this.since(this.stored);
      this.stored += lines.length;
      this.store.append(lines);
    }
    return result;
  }

  /**
   * All lines: the store's if there is one, because it has those of all tabs and the core has only parts of restored
   * lines.
   */
  async lines(): Promise<string[]> {
    return this.store ? this.store.lines() : this.since(0);
  }

  /** Takes lines that another tab has written. */
  take(lines: string[]): void {
    this.stored += restoreLines(this.core(), lines);
  }

  clear(): void {
    const core = this.core();
    typed(() => core.clear());
    this.stored = 0;
  }

  /** The core's lines after the first `count` as JSON. Scores and vectors are f32, so nine digits say all of them. */
  private since(count: number): string[] {
    const core = this.core();
    const short = (x: number) => Number(x.toPrecision(9));
    const shortened = (key: string, value: unknown) => {
      if (key === 'score') return short(value as number);
      return key === 'vector' ? (value as number[]).map(short) : value;
    };
    return typed(() => core.log(count) as unknown[]).map((line) => JSON.stringify(line, shortened));
  }
}

class LocalProfile implements Profile {
  /** The visitor's id for experiments where there is no store. */
  private ownUnit: string | undefined;

  constructor(
    private readonly core: () => Core,
    private readonly cap: number,
    private readonly store: Store | undefined,
    private readonly log: Log,
  ) {
    store?.onNews((news) => {
      if (news === 'changed') void restoreEvents(this.core(), store);
      else if (news === 'cleared') this.forget();
      else log.take(news.lines);
    });
  }

  async add(event: Event): Promise<KeptEvent> {
    const core = this.core();
    const full = {
      id: globalThis.crypto.randomUUID(),
      type: event.value === undefined ? 'view' : 'rate',
      time: Date.now(),
      tz_offset_min: -new Date().getTimezoneOffset(),
      ...event,
    };
    const kept = this.log.writing(() => core.record(toJson(full, 'event')) as KeptEvent);
    await this.store?.update((events) => [...events, kept].slice(-this.cap));
    return kept;
  }

  /** The visitor's id for experiments. */
  async unit(): Promise<string> {
    this.ownUnit ??= globalThis.crypto.randomUUID();
    return (await this.store?.unit(this.ownUnit)) ?? this.ownUnit;
  }

  async get(): Promise<KeptEvent[]> {
    const core = this.core();
    return typed(() => core.profile() as KeptEvent[]);
  }

  async remove(eventId: string): Promise<boolean> {
    const core = this.core();
    const removed = typed(() => core.remove(eventId));
    await this.store?.update((events) => events.filter((event) => event.id !== eventId));
    return removed;
  }

  async export(): Promise<string> {
    return JSON.stringify(await this.get());
  }

  async import(events: string | Event[]): Promise<void> {
    const core = this.core();
    const given: unknown = typeof events === 'string' ? parse(events) : events;
    typed(() => core.importProfile(toJson(given, 'events')));
    const kept = await this.get();
    await this.store?.update(() => kept);
  }

  async clear(): Promise<void> {
    this.forget();
    await this.store?.clear();
  }

  private forget(): void {
    this.log.clear();
    this.ownUnit = undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForetasteError('malformed', `the text is not a profile: ${String(error)}`, 'profile', { cause: error });
  }
}
