import { ForetasteError, json, typed } from './errors.js';
import { sha256, type Towers } from './modules.js';
import { restoreEvents, restoreLines, type Store } from './store.js';
import type { Found, Shards } from './shards.js';
import type { Event, Experiment, Features, Info, Item, KeptEvent, Profile, Recommender, Request, Slate } from './types.js';
import { Core } from './wasm/core.js';

/** What a recommender is made of. */
export interface Parts {
  core: Core;
  /** The manifest. */
  info: Info;
  /** The towers, on their way; none where none were asked for. */
  towers: Promise<Towers> | undefined;
  store: Store | undefined;
  storageError: string | undefined;
  /** Fetches the bundle's worked examples, for checks alone. */
  golden: () => Promise<Uint8Array<ArrayBuffer>>;
  /** Workers that search a part of the catalog each. */
  shards: Shards | undefined;
}

/** A search of all rows by their scores alone. */
const NOTHING = { lift: new Float32Array(), removed: new Uint32Array() };

/** A recommender that works where it was loaded. */
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
    // Whoever waits hears of a failure; nobody has to wait.
    this.ready.catch(() => {});
    const core = () => this.core();
    this.log = new Log(core, parts.store);
    this.profile = new LocalProfile(core, parts.info.encoding.history.cap, parts.store, this.log);
  }

  private core(): Core {
    if (this.disposed) throw new ForetasteError('disposed', 'the recommender was disposed of', 'recommender');
    return this.parts.core;
  }

  async recommend(request: Request = {}): Promise<Slate> {
    await this.modelReady(request);
    const core = this.core();
    const text = this.text(request);
    const { shards } = this.parts;
    if (!shards) return this.log.with(() => core.recommend(text) as Slate);
    const asked = typed(() => core.ask(text));
    const { rows, scores } = await shards.search(core, asked);
    return this.log.with(() => this.core().answer(asked, rows, scores) as Slate);
  }

  async rank(ids: string[], request: Request = {}): Promise<Item[]> {
    await this.modelReady(request);
    const core = this.core();
    const text = this.text(request);
    return typed(() => core.rank(ids, text) as Item[]);
  }

  /** A request with a vector of its own waits for no tower. */
  private async modelReady(request: Request = {}): Promise<void> {
    if (request.vector) return;
    await this.ready;
    await this.towers?.settled();
  }

  /** A request as the core reads it. A new visitor has no last event whose time could stand for the request's. */
  private text(request: Request): string {
    const timed = request.time !== undefined || this.core().count() > 0;
    const now = timed ? {} : { tz_offset_min: -new Date().getTimezoneOffset(), ...request, time: Date.now() };
    return json({ ...request, ...now, ...(request.vector && { vector: Array.from(request.vector) }) }, 'request');
  }

  async search(vector: Float32Array, { k = 10, effort = 'accurate' }: Pick<Request, 'k' | 'effort'> = {}): Promise<Item[]> {
    const core = this.core();
    const { shards } = this.parts;
    const closely = effort === 'fast' ? 1 : 0;
    const { rows, scores } = shards
      ? await shards.search(core, { vector, k, effort: closely, ...NOTHING })
      : typed(() => core.search(vector, k, closely, NOTHING.lift, NOTHING.removed) as Found);
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
    // What is no text or no number has no place in the core's types.
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    const pairs = Object.entries(arms ?? {});
    const weights = Float64Array.from(pairs, ([, weight]) => (typeof weight === 'number' ? weight : NaN));
    const named = text(unit === undefined ? await this.profile.unit() : unit);
    const core = this.core();
    return this.log.with(() => core.assign(text(name), named, pairs.map(([arm]) => arm), weights, Date.now()));
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

/** The log of a core, and what is kept of it on the device. */
class Log {
  /** Lines of the core that are on the device, or under way. */
  private kept: number;

  constructor(
    private readonly core: () => Core,
    private readonly store: Store | undefined,
  ) {
    this.kept = store?.restored ?? 0;
  }

  /** A call that may write a line. */
  with<T>(call: () => T): T {
    const result = typed(call);
    if (this.store) {
      const lines = this.since(this.kept);
      this.kept += lines.length;
      this.store.append(lines);
    }
    return result;
  }

  /** All lines: of the device those of all tabs. The core has only parts of what was restored. */
  async lines(): Promise<string[]> {
    return this.store ? this.store.lines() : this.since(0);
  }

  /** Lines that another tab has written. */
  take(lines: string[]): void {
    this.kept += restoreLines(this.core(), lines);
  }

  clear(): void {
    const core = this.core();
    typed(() => core.clear());
    this.kept = 0;
  }

  private since(written: number): string[] {
    const core = this.core();
    // Scores and vectors have 32 bits: nine digits are all that they have.
    const digits = (x: number) => Number(x.toPrecision(9));
    const short = (key: string, value: unknown) => (key === 'score' ? digits(value as number) : key === 'vector' ? (value as number[]).map(digits) : value);
    return typed(() => core.log(written) as unknown[]).map((line) => JSON.stringify(line, short));
  }
}

class LocalProfile implements Profile {
  /** Names the visitor in experiments where nothing is kept. */
  private own: string | undefined;

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
    const kept = this.log.with(() => core.record(json(full, 'event')) as KeptEvent);
    await this.store?.update((events) => [...events, kept].slice(-this.cap));
    return kept;
  }

  /** The visitor's name in experiments. */
  async unit(): Promise<string> {
    this.own ??= globalThis.crypto.randomUUID();
    return (await this.store?.unit(this.own)) ?? this.own;
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
    typed(() => core.importProfile(json(given, 'events')));
    const kept = await this.get();
    await this.store?.update(() => kept);
  }

  async clear(): Promise<void> {
    this.forget();
    await this.store?.clear();
  }

  private forget(): void {
    this.log.clear();
    this.own = undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForetasteError('malformed', `the text is not a profile: ${String(error)}`, 'profile', { cause: error });
  }
}
