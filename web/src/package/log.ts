import { allowed } from './errors.js';
import { LOG_CAPACITY, type Store } from './store.js';
import type { KeptEvent, Slate } from './types.js';
import type { Core } from './wasm/core.js';

/** A slot of a slate in the log. */
type Slot = { item: string; score: number; propensity: number; standard_error?: number };
/** The line of a slate; `before` is the first event since the slate was drawn, if the line comes after that event. */
type SlateLine = { request?: Record<string, unknown>; slots: Slot[]; before?: string };
/** A line of the core's log, whose maps are `Map`s, or an event. */
type Line = KeptEvent | SlateLine | Record<string, unknown>;
/** A slate that may not have been seen yet, and how many of its slots the log says were. */
type Held = { line: SlateLine; logged: number };

/** Most slates that wait to be seen. */
const MOST_HELD = 256;

/** The log: JSON lines in the store, or lines here where there is none. The core may have only parts of them. */
export class Log {
  /** Lines that this version cannot read. */
  unreadable = 0;
  /** Writes no line. */
  muted = false;
  /** Lines that are not in a store, after `earlier`. */
  private own: Line[] = [];
  /** Lines of the store that was left, once they are read. */
  private earlier: string[] = [];
  private reading: Promise<void> | undefined;
  /** Slates whose line waits, or may grow, by id. */
  private readonly held = new Map<string, Held>();
  /** Lines that the core has written or was given. */
  taken = 0;

  constructor(
    /** Makes calls to the core: `LastingCore`. */
    private readonly core: { use<T>(work: (core: Core) => T): Promise<T> },
    /** Where the lines are kept; undefined: here. */
    public store: Store | undefined,
  ) {}

  /**
   * Makes a call to the core that writes a line, of the slate that it returns or of another kind, and keeps the line.
   * With `hold` the line of a slate waits until somebody has seen the slate.
   */
  writing<T>(work: (core: Core) => T, hold = false): Promise<T> {
    return this.core.use((core) => {
      const result = work(core);
      const lines = core.log(this.taken) as Line[];
      const whole = lines.map((line) => ('slots' in line ? { ...line, slots: slotsOf(result as Slate) } : line));
      if (hold || this.muted) lines.forEach(() => core.takeBack());
      if (this.muted) return result;
      if (hold) {
        this.hold((result as Slate).id, whole[0] as SlateLine);
      } else {
        this.taken += lines.length;
        void this.keep(whole);
      }
      return result;
    });
  }

  private hold(slate: string, line: SlateLine): void {
    this.held.set(slate, { line, logged: 0 });
    for (const oldest of this.held.keys()) if (this.held.size > MOST_HELD) this.held.delete(oldest);
  }

  /**
   * Writes the line of a slate that waited, of its first `slots` slots, or of more slots than it had. False if no such
   * slate waits.
   */
  shown(core: Core, slate: string, slots = Number.POSITIVE_INFINITY): boolean {
    const held = this.held.get(slate);
    if (!held) return false;
    const { line, logged } = held;
    const seen = line.slots.slice(0, slots);
    if (seen.length > logged) {
      core.restore(JSON.stringify(['impression', ...seen.slice(logged).map(({ item }) => item)]));
      this.taken += 1;
      held.logged = seen.length;
      void this.keep([{ ...line, slots: seen }]);
    }
    return true;
  }

  /** The same, up to the slot of an item that the visitor has answered. */
  seenItem(core: Core, slate: string, item: string): void {
    const place = this.held.get(slate)?.line.slots.findIndex((slot) => slot.item === item) ?? -1;
    if (place >= 0) this.shown(core, slate, place + 1);
  }

  /** The request of a slate that the log has, or whose line waits; undefined if none is known. */
  async request(slate: string): Promise<object | undefined> {
    const waiting = this.held.get(slate);
    const lines = waiting ? [textOf(waiting.line)] : await this.lines();
    // Newest first. The text is looked for before the line is read, which takes a hundred times as long.
    const text = JSON.stringify(slate);
    for (const line of lines.reverse().filter((line) => line.includes(text))) {
      try {
        const { type, slate: of, request } = JSON.parse(line) as Record<string, unknown>;
        if (type === 'impression' && of === slate) return (request ?? {}) as object;
      } catch {
        // A line that this version cannot read.
      }
    }
    return undefined;
  }

  /** Keeps the line of an event that the core has just recorded. Resolves when the device has it. */
  recorded(event: KeptEvent): Promise<void> | undefined {
    this.taken += 1;
    for (const { line } of this.held.values()) line.before ??= event.id;
    return this.keep([event], true);
  }

  private keep(lines: Line[], recorded = false): Promise<void> | undefined {
    if (this.store) return this.store.append(lines.map(textOf), recorded);
    this.own.push(...lines);
    // Not at each line, since moving all of them takes longer than a record.
    if (this.own.length > 2 * LOG_CAPACITY) this.own = this.own.slice(-LOG_CAPACITY);
    return undefined;
  }

  /** All lines, oldest first; with a store those of all tabs. */
  async lines(): Promise<string[]> {
    if (this.store) return this.store.lines();
    await this.reading;
    return this.linesHere();
  }

  private linesHere(): string[] {
    const own = this.own.slice(-LOG_CAPACITY).map(textOf);
    return [...this.earlier, ...own].slice(-LOG_CAPACITY);
  }

  /** Keeps lines in a store from now on. Calls `merge` with those that are here, before any other is written there. */
  async enter<T>(store: Store, merge: (lines: string[]) => T): Promise<T> {
    await this.reading;
    const lines = this.linesHere();
    [this.store, this.own, this.earlier] = [store, [], []];
    return merge(lines);
  }

  /** Keeps lines here from now on, after `others`. */
  leave(others: Promise<string[]>): void {
    const reading: Promise<void> = Promise.all([others, this.reading]).then(([lines]) => {
      if (this.reading === reading) this.earlier = [...new Set([...lines, ...this.earlier])];
    });
    this.store = undefined;
    this.reading = reading;
  }

  /** Gives a new core all lines. */
  restore(core: Core, lines: string[]): void {
    this.taken = restoreLines(core, lines);
    this.unreadable = lines.length - this.taken;
  }

  /** Gives the core lines that another tab has written. */
  take(core: Core, lines: string[]): void {
    this.taken += restoreLines(core, lines);
  }

  /** Forgets the lines; the core has forgotten them already. */
  forget(): void {
    [this.own, this.earlier, this.reading] = [[], [], undefined];
    this.held.clear();
    this.taken = this.unreadable = 0;
  }
}

/** The slots of a slate as the log has them. */
function slotsOf({ items }: Slate): Slot[] {
  return items.map(({ id, score, propensity = 0, standard_error }) => ({
    item: id,
    score,
    propensity,
    ...(standard_error !== undefined && { standard_error }),
  }));
}

/** A line as JSON. Scores and vectors are f32, so nine digits say all of them. */
function textOf(line: Line): string {
  if (!('slots' in line)) return JSON.stringify(line);
  const short = (x: number) => Number(x.toPrecision(9));
  const { slots, request = {} } = line as SlateLine;
  for (const slot of slots) slot.score = short(slot.score);
  if (request.vector) request.vector = (request.vector as number[]).map(short);
  for (const [key, value] of Object.entries(request)) if (value instanceof Map) request[key] = Object.fromEntries(value);
  return JSON.stringify(line);
}

/**
 * Adds log lines to those of a core. It gets only what later slates and assignments need. Returns how many lines it
 * took: those that this version can read.
 */
function restoreLines(core: Core, lines: unknown[]): number {
  let taken = 0;
  for (const parts of lines.map(partsOf)) {
    if (!parts) continue;
    allowed(() => {
      core.restore(JSON.stringify(parts));
      taken += 1;
    });
  }
  return taken;
}

/** What the core takes of a line: its kind and texts. Undefined for a line that this version cannot read. */
function partsOf(line: unknown): string[] | undefined {
  try {
    const { type, item, slots, experiment, arm, unit } = JSON.parse(line as string) as Record<string, unknown>;
    const parts = [];
    // A line with an item is an event, whatever its type says.
    if (item !== undefined) parts.push('event', item);
    else if (type === 'impression') parts.push(type, ...(slots as { item: unknown }[]).map((slot) => slot.item));
    else if (type === 'assignment') parts.push(type, experiment, arm, unit);
    return parts.length > 0 && parts.every((part) => typeof part === 'string') ? parts : undefined;
  } catch {
    return undefined;
  }
}
