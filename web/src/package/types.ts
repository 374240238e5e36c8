/** The value of a column; `null` means missing. */
export type Value = number | string | string[] | number[] | null;

/** What a visitor did with an item. */
export interface Event {
  /** Names the event. Default: a random id. */
  id?: string;
  /** Item id. */
  item: string;
  /**
   * Any type that the bundle declares, such as `like` or `hide`. Default: `rate` if there is a value, else `view`.
   * Others are kept, but the model does not know them.
   */
  type?: string;
  /** A number such as a rating. */
  value?: number;
  /** Whole milliseconds UTC. `null`: unknown. Default: now. */
  time?: number | null;
  /** Minutes to add to UTC for local time. Default: the device's. */
  tz_offset_min?: number | null;
  /** Id of the slate that showed the item. */
  slate?: string;
}

/** An event as the recommender keeps it. */
export interface KeptEvent extends Event {
  id: string;
  type: string;
}

/** How slots are filled. A policy ignores the knobs of other policies. */
export interface Explore {
  /**
   * `greedy` shows the items with the best scores. `epsilon-greedy` replaces some of them by random ones. `softmax`
   * draws items with higher scores more often. `ucb` shows the items with the highest upper confidence bounds.
   * `thompson` shows each item with the probability that it is the best. `ucb` and `thompson` learn from the visitor's
   * answers at once.
   */
  policy: 'greedy' | 'epsilon-greedy' | 'softmax' | 'ucb' | 'thompson';
  /**
   * Share of slots that show a random allowed item, 0 (none) to 1 (all). Above 0 every allowed item has a propensity of
   * at least epsilon / n, which off-policy evaluation needs. Default: 0.1 for `epsilon-greedy`, 0 for `greedy`, 0.02
   * for the others.
   */
  epsilon?: number;
  /**
   * For `softmax`, in logits, above 0. Small values show the items with the best scores, large values any of the best
   * few hundred. Default: 1.
   */
  temperature?: number;
  /**
   * For `ucb`: how many standard deviations are added to a score. 0 is greedy; large values show the items that are
   * known least. Default: 1.
   */
  alpha?: number;
  /**
   * For `ucb` and `thompson`: standard deviation of the visitor's true score of an item around the tower's, in logits.
   * 0 trusts the tower. Default: 1.
   */
  prior?: number;
  /**
   * For `ucb` and `thompson`: a further standard deviation for items that were not in training, the same for all
   * visitors. 0 trusts the item tower. Default: 1.
   */
  cold?: number;
  /**
   * For `ucb` and `thompson`: after how many further answers an answer counts half. Small values forget soon. Default:
   * 20.
   */
  half_life?: number;
  /** For `ucb` and `thompson`: logits that an item loses when it was shown and got no answer. Default: 0.5. */
  ignored?: number;
  /**
   * Logits added to the score of an item that was not in training; an item with n events gets boost / √(1 + n). Gives
   * rare items exposure under any policy; large values show only the rarest. Default: 0.
   */
  boost?: number;
  /** Fixes every draw, together with the decision id. */
  seed?: number;
  /**
   * Id of the decision. Default: the number of slates so far; with `storage: 'indexeddb'` a random id, since other tabs
   * and visits count, too.
   */
  decision?: string;
}

/** Options of `recommend` and `rank`. */
export interface Request {
  /** Number of slots, at least 1. Default: 10. */
  k?: number;
  /** Values of context columns; each may be missing. */
  context?: Record<string, Value>;
  /**
   * The visitor's vector `[dim]`, instead of the tower's output. No model is needed then, and no rating is predicted.
   */
  vector?: ArrayLike<number>;
  /**
   * Whether the neighbours of the visitor's items add to scores, if the bundle has neighbours. Default: true, and false
   * with a `vector`. They are loaded with the tower.
   */
  neighbours?: boolean;
  /** `false` leaves the bundle's ranker out: the items come as towers and neighbours order them. Default: true. */
  rank?: boolean;
  /** `true` adds `stages` to the slate. Only `recommend` uses it. Default: false. */
  explain?: boolean;
  /** Ids of items that must not be shown. */
  exclude?: string[];
  /** How different from each other the items should be: 0 (the default) ranks by score alone, 1 by difference alone. */
  diversity?: number;
  /** By column: how many items of a slate may share a value of the column, at least 1. */
  caps?: Record<string, number>;
  explore?: Explore;
  /** Effort of the search: `accurate` (the default) has a recall of at least 0.999, `fast` of 0.99 in less time. */
  effort?: 'accurate' | 'fast';
  /** Milliseconds UTC. Default: the time of the last event; for a new visitor, now. */
  time?: number;
  /** Minutes to add to UTC for local time. */
  tz_offset_min?: number;
  /**
   * `true` writes no log line yet, for a slate that the visitor may not see: `shown` writes it, and so does an event
   * with the slate's id. The decision gets a random id, unless the request names one. Only `recommend` uses it.
   * Default: false.
   */
  hold?: boolean;
  /** Ends the wait: the call then rejects with the signal's reason and writes no log line. */
  signal?: AbortSignal;
}

/** Options of a list. */
export interface ListOptions {
  /** Number of items, at least 1. Default: 10. */
  k?: number;
  /** Ends the wait: the call then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** An A/B test: it splits units, usually visitors, between arms. */
export interface Experiment {
  /** Names the experiment. A different name splits the units anew. */
  name: string;
  /**
   * Two or more arms, each with a weight above 0. An arm gets its weight's share of the units. The order of the keys
   * matters: a different order gives a different split.
   */
  arms: Record<string, number>;
  /**
   * Who is assigned. Default: the visitor of this device, by a random id. With `storage: 'indexeddb'` the device keeps
   * the id until `profile.clear`, otherwise it lasts as long as this recommender.
   */
  unit?: string;
}

/** An item of a list. */
export interface Item {
  id: string;
  title: string | null;
  /** The model's logit; from `similar` the cosine, from `find` the popularity. */
  score: number;
  /** The predicted rating, in slates and from `rank`, if the bundle predicts ratings. */
  rating?: number;
  /** P(this item in this slot | the slots before it). Only in slates. */
  propensity?: number;
  /** Standard error of the propensity, if it is estimated from samples (`thompson`). */
  standard_error?: number;
  /**
   * Ids of at most two items of the visitor, by what they add to the score as neighbours, the greatest first. Exact, so
   * it is empty if a ranker orders the slate. Only in slates.
   */
  reasons?: string[];
  /** Columns of the catalog. */
  fields: Record<string, Value>;
}

/** Time of each stage of a slate, in microseconds. */
export interface Timings {
  encode: number;
  tower: number;
  score: number;
  filter: number;
  rank: number;
  slate: number;
  propensity: number;
}

/** Why an item has its score, in logits: `bias`, `context`, `older` and the parts of the events sum to it. */
export interface Explanation {
  score: number;
  /**
   * The item's place among those that may be shown, 1 for the best: by the ranker for its candidates, which come first,
   * else as towers and neighbours order them. Constraints and exploration take no part.
   */
  place: number;
  /** The score for a visitor of whom nothing is known; `ucb` and `thompson` know which items were shown. */
  bias: number;
  /** What the context and the time of the request add for a visitor without events. */
  context: number;
  /** What the events before those of the list add together. */
  older: number;
  /** The last 24 events, oldest first. */
  events: EventPart[];
}

/** What an event adds to a score. */
export interface EventPart {
  /** Id of the event. */
  event: string;
  /** Its item. */
  item: string;
  /** Logits. */
  part: number;
  /** Standard error of `part`, which is estimated from a few orders of the events; 0 where it is exact. */
  error: number;
  /** The item's place without this event; only for the three events with the greatest parts of either sign. */
  place_without?: number;
}

/** What a ranker reads, by name, without missing values: of the visitor, and of items in the order of the ids. */
export interface FeatureValues {
  visitor: Record<string, Value>;
  items: Record<string, Value>[];
}

/** An ordered list of items, drawn by a policy. */
export interface Slate {
  /** Names the decision. Give it to `record` with the visitor's answer. */
  id: string;
  items: Item[];
  policy: string;
  model: string;
  timings_us: Timings;
  /** What each stage left, if the request says `explain`. */
  stages?: Stages;
}

/** How many items each stage of a slate left. */
export interface Stages {
  /** Items of the catalog. */
  items: number;
  /** Those that may be shown: neither seen nor hidden nor excluded. */
  allowed: number;
  /** The best of these, from which the policy chooses. */
  candidates: number;
  /** Ids of the candidates that would fill the slots by score alone and that caps or diversity keep out, best first. */
  constraints: string[];
  /** The same of those that caps and diversity allow: the policy shows others. */
  exploration: string[];
}

/** The part of the manifest that a page may need. */
export interface Info {
  format_version: number;
  model_id: string;
  name: string;
  dim: number;
  items: number;
  metrics: Record<string, number>;
  licence?: string;
  /** What the model was trained on, and what its figures do not show. */
  limits?: string;
  encoding: {
    history: { len: number; cap: number; value_edges: number[]; types: { name: string; positive: boolean }[] };
    items: { name: string }[];
    context: { name: string; kind: { type: string; vocabulary?: string[] } }[];
  };
}

/** A WASM module, or its address. */
export type WasmSource = string | URL | Response | WebAssembly.Module | BufferSource;

/** What the visitor allows. */
export interface Consent {
  /**
   * Whether anything may be kept on the device: events, log, the id for experiments and the bundle's files. `false`
   * keeps all of it in memory, until the page goes.
   */
  storage?: boolean;
  /**
   * Whether what the visitor does may change what is recommended. `false`: slates are those of a new visitor, `record`
   * and `import` check events and keep none, `assign` uses an id of this visit alone, and the log stays empty.
   */
  profiling?: boolean;
}

/** Options of `load`. */
export interface LoadOptions {
  /** Ends the load, which then rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * Reports bytes of the modules and the bundle's files: `loaded` so far, of `total`. A module counts once it is there.
   * `memory` estimates the bytes that the open bundle takes. The first call comes before any of its files is fetched.
   */
  onProgress?: (progress: { loaded: number; total: number; memory: number }) => void;
  /**
   * Keeps the files on the device for the next visit (Cache Storage), by hash, and manifest and modules for a visit
   * whose network is gone. Default: true, where the browser can.
   */
  cache?: boolean;
  /** SHA-256 of `manifest.json` as `sha256-BASE64`. It pins the whole bundle. */
  integrity?: string;
  /** Largest bundle, in bytes. Default: 2 GiB. */
  maxBytes?: number;
  /**
   * Where events and log are kept. `memory` (the default) forgets them when the page goes; `indexeddb` keeps the events
   * and the last 20,000 log lines on the device.
   */
  storage?: 'memory' | 'indexeddb';
  /**
   * What the visitor allows so far; `setConsent` changes it. `false` leaves alone what an earlier visit has kept, it is
   * not read. Default: everything.
   */
  consent?: Consent;
  /** Names the stored data. Recommenders with the same namespace share it. Default: `default`. */
  namespace?: string;
  /**
   * `false` loads no user tower and no neighbours. `recommend` and `rank` then need a `vector` in each request.
   * Default: true.
   */
  tower?: boolean;
  /** The WASM modules. Default: the files beside this script. */
  wasm?: { core?: WasmSource; tower?: WasmSource };
  /**
   * `true` runs in a worker, so that the page never blocks, and splits the search of a large catalog between as many
   * workers as help. A number asks for that many workers, 1 to 64. Where no worker can start (Node, a strict
   * Content-Security-Policy) the page does the work. Default: false.
   */
  worker?: boolean | number;
}

/** What works at the moment. */
export interface Features {
  storage: 'memory' | 'indexeddb';
  /**
   * Set when IndexedDB could not be opened or failed later. The recommender keeps working in memory. Events and log
   * lines that IndexedDB did not take are written with the next ones; this goes when none is left.
   */
  storageError?: string;
  /** Set when Cache Storage failed, such as for want of room. Files then come from the host at each visit. */
  cacheError?: string;
  /** The host could not be reached, and the bundle of an earlier visit is open. */
  offline?: true;
  /** What the visitor allows. */
  consent: Required<Consent>;
  /** Number of stored events and log lines that this version cannot read. They stay on the device. */
  setAside: number;
  /** `ready` once `recommend` answers at once; `none` if the load asked for no tower. */
  model: 'loading' | 'ready' | 'failed' | 'none';
  policies: string[];
  /** Number of workers that search; 0 if the page itself does. */
  workers: number;
  /** Why the page itself works although it asked for a worker. */
  workerError?: string;
}

declare global {
  // TypeScript's library may be an older one.
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }
}

/** Recommends from one bundle, for the visitor of this device. */
export interface Recommender {
  /** Settles when the model is loaded. `recommend` and `rank` wait for it. */
  readonly ready: Promise<void>;
  /** The visitor's kept events. */
  readonly profile: Profile;
  /** The items for this visitor, best first. Writes the slate to the log. */
  recommend(request?: Request): Promise<Slate>;
  /**
   * Writes the log line of a slate that was asked for with `hold`, of its first `slots` slots (default: all), because
   * the visitor has seen these. A later call with more slots writes a longer line. Resolves to whether such a slate is
   * known.
   */
  shown(slate: string, slots?: number): Promise<boolean>;
  /** The given items, best first. Ranks items that the visitor has seen, too. */
  rank(ids: string[], request?: Request): Promise<Item[]>;
  /**
   * Why an item has its score, from a slate of the log: what each event of the visitor, the context and the item itself
   * add, and at which place it would stand without the events that matter most. The events are those of now. Takes as
   * long as about 200 runs of the tower.
   */
  explain(slate: string, id: string): Promise<Explanation>;
  /** The values that the bundle's ranker reads of the visitor and of items; none without a ranker. */
  featureValues(ids?: string[], request?: Request): Promise<FeatureValues>;
  /** The best items for a vector `[dim]`. Needs no model and writes no log line. */
  search(vector: Float32Array, options?: ListOptions & Pick<Request, 'effort'>): Promise<Item[]>;
  /** Items similar to an item, by the cosine of their vectors. Needs no model. */
  similar(id: string, options?: ListOptions): Promise<Item[]>;
  /** Items whose title or id contains the text; popular items if the text is empty. Needs no model. */
  find(text: string, options?: ListOptions): Promise<Item[]>;
  /** Adds an event to profile and log. */
  record(event: Event): Promise<KeptEvent>;
  /**
   * The unit's arm in an experiment, which is written to the log. It is a hash of unit and experiment: it stays the
   * same as long as the name and the order, names and weights of the arms do.
   */
  assign(experiment: Experiment): Promise<string>;
  /**
   * Changes what the visitor allows; what is not named stays as it is.
   *
   * `storage: true` with `storage: 'indexeddb'` adds the events and the log of this visit to what the device has, once,
   * and goes on there. `storage: false` erases what the device has of this namespace, and what the package has in
   * Cache Storage; this visit goes on in memory. `profiling: false` forgets events, log and id, also those on the
   * device. Other tabs with the same namespace follow a `false`. If the device does not erase, this rejects with
   * `storage`, and what was said holds nevertheless.
   */
  setConsent(consent: Consent): Promise<void>;
  /**
   * The slates, events and assignments so far as JSON lines; with `storage: 'indexeddb'` from all tabs and earlier
   * visits.
   */
  exportLog(): Promise<string>;
  /** What the bundle says about itself. */
  info(): Promise<Info>;
  /**
   * Replays the bundle's golden rows. Returns the differences: none if this device computes what the trainer computed.
   */
  replayGolden(): Promise<string[]>;
  /** What works at the moment. */
  features(): Features;
  /**
   * Ends this recommender; later calls fail with `disposed`. The bundle's memory is freed when the last recommender of
   * the same `load` is gone. Data stored on the device stays.
   */
  dispose(): void;
  /** `dispose`, for `using`. */
  [Symbol.dispose](): void;
}

/** The visitor's kept events. */
export interface Profile {
  /** The events, oldest first. */
  get(): Promise<KeptEvent[]>;
  /** Removes an event. Resolves to whether there was one. */
  remove(eventId: string): Promise<boolean>;
  /** The events as text, for `import`. */
  export(): Promise<string>;
  /**
   * Replaces all events: by a list, or by what `export` of this or an earlier version wrote. Changes nothing if one of
   * them is refused.
   */
  import(events: string | Event[]): Promise<void>;
  /**
   * Erases events, log, slates that wait for `shown`, and the id for experiments, here and on the device, in all tabs.
   * Rejects with `storage` if the device does not erase.
   */
  clear(): Promise<void>;
}
