/** A raw value of a column; `null` is missing. */
export type Value = number | string | string[] | number[] | null;

/** What a visitor did with an item. */
export interface Event {
  /** Names the event; given where absent. */
  id?: string;
  /** Item id. */
  item: string;
  /** `rate` where there is a value, else `view`; or any type that the bundle declares, such as `like` and `hide`. */
  type?: string;
  /** A number such as a rating. */
  value?: number;
  /** Milliseconds UTC, whole. Absent: now. `null`: unknown. */
  time?: number | null;
  /** Minutes to add to UTC for local time. Absent: the device's. */
  tz_offset_min?: number | null;
  /** Id of the slate that showed the item. */
  slate?: string;
}

/** An event as it is kept. */
export interface KeptEvent extends Event {
  id: string;
  type: string;
}

/** How slots are filled. A knob that the policy does not have is not looked at. */
export interface Explore {
  /**
   * `greedy` shows the best; `softmax` the better the likelier; `ucb` what may be best, by upper confidence bounds; `thompson` each item as
   * often as it may be best. The last two learn from the visitor's answers at once.
   */
  policy: 'greedy' | 'epsilon-greedy' | 'softmax' | 'ucb' | 'thompson';
  /**
   * Share of slots that are drawn from all allowed items alike, 0 (none) to 1 (all). Above 0 every allowed item has a propensity of at least
   * epsilon / n, as off-policy evaluation asks for. Absent: .1 of `epsilon-greedy`, 0 of `greedy`, .02 of the others.
   */
  epsilon?: number;
  /** Of `softmax`, in logits, above 0: small ones show the best, large ones any of the best few hundred. Absent: 1. */
  temperature?: number;
  /** Of `ucb`: standard deviations added to a score. 0 is greedy; many show what is least known. Absent: 1. */
  alpha?: number;
  /** Of `ucb` and `thompson`: logits by which the visitor's true score of an item may differ from the tower's. 0 believes the tower. Absent: 1. */
  prior?: number;
  /** Of `ucb` and `thompson`: the same of an item that no training has seen, whatever the visitor. 0 believes the item tower. Absent: 1. */
  cold?: number;
  /** Of `ucb` and `thompson`: an answer counts half after as many further ones. Small ones forget soon. Absent: 20. */
  half_life?: number;
  /** Of `ucb` and `thompson`: logits that an item loses that was shown and got no answer. Absent: .5. */
  ignored?: number;
  /** Added to the score of an item that no training has seen, in logits; after n events divided by √(1 + n): gives rare items exposure,
   * whatever the policy. Large ones show the rarest alone. Absent: 0. */
  boost?: number;
  /** With the decision id it fixes every draw. */
  seed?: number;
  /** Id of the decision. Absent: the number of slates so far. */
  decision?: string;
}

/** What is asked of `recommend` and `rank`. */
export interface Request {
  /** Slots, 1 or more. Absent: 10. */
  k?: number;
  /** Values of context columns; each may be missing. */
  context?: Record<string, Value>;
  /** The visitor's vector `[dim]`, in place of the tower's output: no model is needed then, and no rating is predicted. */
  vector?: ArrayLike<number>;
  /** Ids that must not be shown. */
  exclude?: string[];
  /** How unlike each other the items are to be, 0 to 1: 0 (the default) looks at scores alone, 1 at likeness alone. */
  diversity?: number;
  /** Most items of a slate that share a value of a column, 1 or more, by column. */
  caps?: Record<string, number>;
  explore?: Explore;
  /** `accurate` (the default; recall of at least .999 against the scores of all items) or `fast` (.99, in less time on large catalogs). */
  effort?: 'accurate' | 'fast';
  /** Milliseconds UTC. Absent: the time of the last event, for a new visitor now. */
  time?: number;
  /** Minutes to add to UTC for local time. */
  tz_offset_min?: number;
}

/** An A/B test: units, visitors most often, are split between arms. */
export interface Experiment {
  /** Names the experiment: another name splits the units anew. */
  name: string;
  /**
   * Two arms or more, each with a weight above 0: its share of the units is its weight over all weights. The order counts, and is that of the
   * object's keys.
   */
  arms: Record<string, number>;
  /**
   * Who is assigned. Absent: the visitor of this device, with `storage: 'indexeddb'` by a random id that is kept there until `profile.clear`, else by
   * one that is forgotten with this recommender.
   */
  unit?: string;
}

/** An item of a list. */
export interface Item {
  id: string;
  title: string | null;
  /** Logits of the model; of `similar` the cosine, of `find` the popularity. */
  score: number;
  /** The rating that the visitor would give; of slates and `rank`, where the bundle predicts ratings. */
  rating?: number;
  /** P(this item in this slot | the slots before it); of slates alone. */
  propensity?: number;
  /** Standard error of the propensity, where samples estimate it (`thompson`). */
  standard_error?: number;
  /** Columns of the catalog. */
  fields: Record<string, Value>;
}

/** Microseconds of each stage. */
export interface Timings {
  encode: number;
  tower: number;
  score: number;
  filter: number;
  slate: number;
  propensity: number;
}

/** An ordered list of items, drawn by a policy. */
export interface Slate {
  /** Names the decision; give it to `record` with the visitor's answer. */
  id: string;
  items: Item[];
  policy: string;
  model: string;
  timings_us: Timings;
}

/** The part of the manifest that a page may want. */
export interface Info {
  format_version: number;
  model_id: string;
  name: string;
  dim: number;
  items: number;
  metrics: Record<string, number>;
  licence?: string;
  /** What the model was learnt from, and what its figures do not say. */
  limits?: string;
  encoding: {
    history: { len: number; cap: number; value_edges: number[]; types: { name: string }[] };
    items: { name: string }[];
    context: { name: string; kind: { type: string; vocabulary?: string[] } }[];
  };
}

/** A WASM module: where it is, or what it is. */
export type WasmSource = string | URL | Response | WebAssembly.Module | BufferSource;

export interface LoadOptions {
  /** Ends the load. */
  signal?: AbortSignal;
  /** Bytes of the bundle's files so far; first of all, before any of them, `memory`: bytes that the open bundle will take, about. */
  onProgress?: (progress: { loaded: number; total: number; memory: number }) => void;
  /** Keeps the files on the device for the next visit (Cache Storage), by hash. Absent: yes, where the browser can. */
  cache?: boolean;
  /** SHA-256 of `manifest.json`, as `sha256-BASE64`: pins the whole bundle. */
  integrity?: string;
  /** Most bytes of the bundle. Absent: 2 GiB. */
  maxBytes?: number;
  /** Where events and log are kept. `memory` (the default) forgets with the page; `indexeddb` keeps them on the device, the last 20,000 lines of the log. */
  storage?: 'memory' | 'indexeddb';
  /** Names what is kept: recommenders of one namespace share it. */
  namespace?: string;
  /** `false`: no user tower is fetched, the core is all that the page loads. `recommend` and `rank` then need a `vector` in their request. Absent: true. */
  tower?: boolean;
  /** The WASM modules, where they do not lie beside this script. */
  wasm?: { core?: WasmSource; tower?: WasmSource };
  /**
   * `true`: works in a worker, so that the page never waits, and shares the search of a large catalog out over as many as help; a number: over
   * this many. Where a worker cannot start (Node, a Content-Security-Policy) the page does the work. Absent: the page.
   */
  worker?: boolean | number;
}

/** What is at hand. */
export interface Features {
  storage: 'memory' | 'indexeddb';
  /** Why the storage that was asked for is not there, or what went wrong with it since; nothing else fails with it. */
  storageError?: string;
  /** `ready` once `recommend` can answer at once; `none` where the load asked for no tower. */
  model: 'loading' | 'ready' | 'failed' | 'none';
  policies: string[];
  /** Workers that search; 0: the page itself does. */
  workers: number;
}

/** Recommends from one bundle, for the visitor of this device. */
export interface Recommender {
  /** Settles when the model is there; `recommend` and `rank` wait for it by themselves. */
  readonly ready: Promise<void>;
  /** The visitor's kept events. */
  readonly profile: Profile;
  /** The items for this visitor, best first; the slate is written to the log. */
  recommend(request?: Request): Promise<Slate>;
  /** The given items, best first; seen ones are ranked too. */
  rank(ids: string[], request?: Request): Promise<Item[]>;
  /** The best items for a vector of your own, `[dim]`; needs no model and writes no log. */
  search(vector: Float32Array, options?: Pick<Request, 'k' | 'effort'>): Promise<Item[]>;
  /** Items like one item, by the cosine of their vectors; needs no model. */
  similar(id: string, options?: { k?: number }): Promise<Item[]>;
  /** Items whose title or id contains the text; without a text the popular ones. Needs no model. */
  find(text: string, options?: { k?: number }): Promise<Item[]>;
  /** Adds an event to profile and log. */
  record(event: Event): Promise<KeptEvent>;
  /** The arm of an experiment that the unit is in: a hash of both, so it stays while names, order and weights of the arms do. It is written to the log. */
  assign(experiment: Experiment): Promise<string>;
  /** Slates, events and assignments so far, as JSON lines; with `storage: 'indexeddb'` those of all tabs and earlier visits. */
  exportLog(): Promise<string>;
  /** What the bundle says of itself. */
  info(): Promise<Info>;
  /** Replays the bundle's golden rows and gives what differs: nothing, where this device computes what the trainer did. */
  replayGolden(): Promise<string[]>;
  /** What is at hand. */
  features(): Features;
  /** Frees all memory. What was kept on the device stays. */
  dispose(): void;
}

/** The kept events of the visitor. */
export interface Profile {
  /** The events, oldest first. */
  get(): Promise<KeptEvent[]>;
  /** Removes an event; tells whether there was one. */
  remove(eventId: string): Promise<boolean>;
  /** The events as text, for `import`. */
  export(): Promise<string>;
  /** Replaces all events. Nothing changes where one is refused. */
  import(events: string | Event[]): Promise<void>;
  /** Forgets events, log and the id for experiments, here and on the device, in all tabs. */
  clear(): Promise<void>;
}
