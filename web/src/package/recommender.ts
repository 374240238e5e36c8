import {
  checkBoolean,
  checkCount,
  listOptions,
  members,
  now,
  type Plain,
  plain,
  plainObject,
  refused,
  takeSignal,
  text,
  until,
  vector,
} from './arguments.js';
import type { Opened } from './entry.js';
import { disposed } from './errors.js';
import { bare, bareFields } from './items.js';
import type { Log } from './log.js';
import type { Found, Search } from './messages.js';
import type { LastingCore } from './modules.js';
import type { LocalProfile } from './profile.js';
import type { Shards } from './shards.js';
import type { Towers } from './towers.js';
import type {
  Consent,
  Event,
  Experiment,
  Explanation,
  Features,
  FeatureValues,
  Info,
  Item,
  KeptEvent,
  ListOptions,
  Request,
  Slate,
} from './types.js';

/** What `loadLocal` makes a recommender from. */
export interface Parts {
  core: LastingCore;
  versions: {
    /** What the version at hand says. It may change until `towers` settles. */
    readonly now: Now;
    /** Fetches the bundle's golden rows, which only `replayGolden` needs. */
    golden(): Promise<Uint8Array<ArrayBuffer>>;
  };
  /** What the device keeps of the bundle. */
  cache: { readonly error: string | undefined };
  /** The towers, which may still be loading; undefined if the page asked for none. */
  towers: Promise<Towers> | undefined;
  log: Log;
  profile: LocalProfile;
  /** What the visitor allows, and the store. */
  consent: {
    set(consent: Consent): Promise<void>;
    features(): Pick<Features, 'storage' | 'storageError' | 'consent'>;
    /** Gives the slate of a request a name that no other visit gives, where that is needed. */
    named(request: { [key: string]: Plain }, always: boolean): { [key: string]: Plain };
    close(): void;
  };
  /** Ends what is still being fetched, and the workers. */
  stop: () => void;
  /** Why no worker does the work, if the page asked for one. */
  workerError: string | undefined;
}

/** One version of a bundle. */
export interface Now {
  /** The manifest. */
  info: Info;
  /** Names of the policies. */
  policies: string[];
  /** Workers that search a part of the catalog each. */
  shards: Shards | undefined;
  /** Whether the device kept it, and the host could not be reached. */
  offline: boolean;
}

/** A slate whose rows are searched for: its number, and the search. */
type Pending = { slate: number } & Search;

/** The rest of a search that goes by scores alone. */
const NO_LIFT = new Float32Array();
const NONE_REMOVED = new Uint32Array();
/** Types of events that name none. */
const DEFAULT_TYPES = ['view', 'rate'];

/** A recommender that works in the thread that loaded it. */
export class LocalRecommender implements Opened {
  readonly ready: Promise<void>;
  readonly profile: LocalProfile;

  private readonly core: LastingCore;
  private model: Features['model'];
  private towers: Towers | undefined;
  private isDisposed = false;
  /** Types of events that the page was warned of. */
  private readonly undeclared = new Set<string>();

  constructor(private readonly parts: Parts) {
    this.core = parts.core;
    this.profile = parts.profile;
    this.model = parts.towers ? 'loading' : 'none';
    this.ready = Promise.resolve(parts.towers).then(
      (towers) => {
        if (this.isDisposed) {
          towers?.dispose();
          throw disposed();
        }
        this.towers = towers;
        if (towers) this.model = 'ready';
      },
      (error: unknown) => {
        if (this.isDisposed) throw disposed();
        this.model = 'failed';
        throw error;
      },
    );
    // Nobody has to await `ready`: without this a failure would be an unhandled rejection.
    this.ready.catch(() => {});
  }

  async recommend(request: Request = {}): Promise<Slate> {
    this.core.check();
    const { given, signal, hold } = requestOf(request);
    await until(signal, this.modelReady(given));
    const { log, versions, consent } = this.parts;
    // Numbers count the lines of the log. Other tabs count, too, and a slate that waits may never get a line.
    const asked = this.requestText(consent.named(given, hold));
    for (;;) {
      const { shards } = versions.now;
      if (!shards) return withItems(await log.writing((core) => core.recommend(asked) as Slate, hold));
      const [pending, asker] = await this.core.use((core) => [core.ask(asked) as Pending, this.core.opened] as const);
      const { rows, scores } = await shards.search(this.core, pending);
      if (signal?.aborted) throw signal.reason;
      // After a trap, and of another version of the bundle, the question is asked again.
      if (this.core.opened !== asker) continue;
      return withItems(await log.writing((core) => core.answer(pending.slate, rows, scores) as Slate, hold));
    }
  }

  async shown(slate: string, slots?: number): Promise<boolean> {
    this.core.check();
    const id = text(slate, 'slate');
    if (slots !== undefined) checkCount(slots, 'slots');
    return this.core.use((core) => this.parts.log.shown(core, id, slots));
  }

  async rank(ids: string[], request: Request = {}): Promise<Item[]> {
    this.core.check();
    const { given, signal } = requestOf(request);
    const list = JSON.stringify(plain(ids, 'ids'));
    await until(signal, this.modelReady(given));
    const asked = this.requestText(given);
    return bareFields(await this.core.use((core) => core.rank(list, asked) as Item[]));
  }

  async explain(slate: string, id: string): Promise<Explanation> {
    this.core.check();
    const [name, of] = [text(slate, 'slate'), text(id, 'id')];
    const request = await this.parts.log.request(name);
    if (!request) throw refused('slate', 'the log has no slate of this id');
    await this.modelReady(request);
    return this.core.use((core) => core.explain(of, JSON.stringify(request)) as Explanation);
  }

  async featureValues(ids: string[] = [], request: Request = {}): Promise<FeatureValues> {
    this.core.check();
    const { given, signal } = requestOf(request);
    const list = JSON.stringify(plain(ids, 'ids'));
    await until(signal, this.modelReady(given));
    const { visitor, items } = await this.core.use((core) => core.featureValues(list, JSON.stringify(given)) as FeatureValues);
    return { visitor: bare(visitor), items: items.map(bare) };
  }

  /** Waits for the tower and the neighbours, unless the request has a vector of its own and wants no neighbours. */
  private async modelReady({ vector, neighbours }: { vector?: Plain; neighbours?: Plain } = {}): Promise<void> {
    if (vector && !neighbours) return;
    await this.ready;
    await this.towers?.ready();
  }

  /**
   * A request as the core reads it. The core takes the time of the last event if there is none; a new visitor has no
   * event.
   */
  private requestText(given: { [key: string]: Plain }): string {
    const hasTime = 'time' in given || this.profile.size > 0;
    const local = { tz_offset_min: -new Date().getTimezoneOffset(), ...given, time: now() };
    return JSON.stringify(hasTime ? given : local);
  }

  async search(of: Float32Array, options: ListOptions & Pick<Request, 'effort'> = {}): Promise<Item[]> {
    this.core.check();
    const { signal, ...list } = listOptions(options);
    const search = { vector: vector(of, 'vector'), ...list, lift: NO_LIFT, removed: NONE_REMOVED };
    for (;;) {
      const { shards } = this.parts.versions.now;
      const found = shards && (await until(signal, shards.search(this.core, search)));
      const items = await this.core.use((core) => {
        // The rows are those of another version of the bundle.
        if (shards !== this.parts.versions.now.shards) return undefined;
        const { rows, scores } = found ?? (core.search(search.vector, search.k, search.effort, NO_LIFT, NONE_REMOVED) as Found);
        return core.items(rows, scores) as Item[];
      });
      if (items) return bareFields(items);
    }
  }

  async similar(id: string, options: ListOptions = {}): Promise<Item[]> {
    this.core.check();
    const [of, { k }] = [text(id, 'id'), listOptions(options)];
    return bareFields(await this.core.use((core) => core.similar(of, k) as Item[]));
  }

  async find(words: string, options: ListOptions = {}): Promise<Item[]> {
    this.core.check();
    const [of, { k }] = [text(words, 'text'), listOptions(options)];
    return bareFields(await this.core.use((core) => core.find(of, k) as Item[]));
  }

  async record(event: Event): Promise<KeptEvent> {
    const kept = await this.profile.add(event);
    this.checkType(kept.type);
    return kept;
  }

  /** Warns of a type that the bundle does not declare, once: it may be a slip. */
  private checkType(type: string): void {
    const names = this.parts.versions.now.info.encoding.history.types.map(({ name }) => name);
    if (names.includes(type) || DEFAULT_TYPES.includes(type) || this.undeclared.has(type)) return;
    this.undeclared.add(type);
    const text = `the bundle does not declare the event type \`${type}\`, so the model does not know what it means`;
    console.warn(`foretaste: ${text}; it declares ${names.join(', ') || 'none'}`);
  }

  async assign(experiment: Experiment): Promise<string> {
    this.core.check();
    const { name, arms, unit } = members(experiment, 'experiment');
    const [of, pairs] = [text(name, 'experiment.name'), Object.entries(members(arms, 'experiment.arms'))];
    const unitId = unit === undefined ? await this.profile.unit() : text(unit, 'experiment.unit');
    const texts = JSON.stringify([of, unitId, ...pairs.map(([arm]) => arm)]);
    // The core refuses a weight of NaN.
    const weights = Float64Array.from(pairs, ([, weight]) => (typeof weight === 'number' ? weight : NaN));
    return this.parts.log.writing((core) => core.assign(texts, weights, now()) as string);
  }

  async setConsent(consent: Consent): Promise<void> {
    this.core.check();
    return this.parts.consent.set(consent);
  }

  async exportLog(): Promise<string> {
    this.core.check();
    return (await this.parts.log.lines()).map((line) => `${line}\n`).join('');
  }

  async info(): Promise<Info> {
    this.core.check();
    return structuredClone(this.parts.versions.now.info);
  }

  features(): Features {
    const { consent, cache, log, workerError } = this.parts;
    const { policies, shards, offline } = this.parts.versions.now;
    return {
      ...consent.features(),
      ...(cache.error !== undefined && { cacheError: cache.error }),
      ...(offline && { offline: true as const }),
      setAside: this.profile.unreadable.length + log.unreadable,
      model: this.model,
      policies: [...policies],
      workers: shards?.count ?? 0,
      ...(workerError !== undefined && { workerError }),
    };
  }

  async replayGolden(): Promise<string[]> {
    this.core.check();
    const golden = await this.parts.versions.golden();
    await this.modelReady();
    return this.core.use((core) => core.replayGolden(golden) as string[]);
  }

  dispose(): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    this.parts.stop();
    this.towers?.dispose();
    this.parts.consent.close();
    this.core.dispose();
  }
}

/** A copy of a request, without what the core does not read. The vector may be any list of numbers. */
function requestOf(request: Request): { given: { [key: string]: Plain }; signal: AbortSignal | undefined; hold: boolean } {
  const given = members(request, 'recommend');
  const signal = takeSignal(given, 'recommend');
  const { hold = false } = given;
  delete given.hold;
  checkBoolean(hold, 'recommend.hold');
  if (given.vector !== undefined && given.vector !== null) given.vector = vector(given.vector, 'recommend.vector');
  return { given: plainObject(given, 'recommend'), signal, hold: hold as boolean };
}

function withItems(slate: Slate): Slate {
  bareFields(slate.items);
  return slate;
}
