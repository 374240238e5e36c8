import type { Explanation } from './types.js';

/**
 * Sentences about an item in one language. `{title}` and `{other}` are titles of items of the history, `{place}` and
 * `{now}` are places, 1 for the best.
 */
export interface Templates {
  /** One item of the history raises the score. */
  because: string;
  /** Two do. */
  both: string;
  /** The item's place without the first of them. */
  without: string;
  /** An item of the history lowers the score, by more than any other raises it. */
  against: string;
  /** No item of the history raises the score; context and time do. */
  context: string;
  /** Neither does. */
  none: string;
}

/** English. */
const ENGLISH: Templates = {
  because: 'Because of {title}.',
  both: 'Because of {title} and {other}.',
  without: 'Without {title} it would be number {place}, not {now}.',
  against: '{title} speaks against it.',
  context: 'It suits the moment.',
  none: 'It suits many visitors.',
};

/** Options of `sentences`. */
export interface SentenceOptions {
  /** Titles of the items of the history, by id. An item without one is named by its id. */
  titles?: Record<string, string>;
  /** What replaces the English templates; a text that is empty leaves its sentence out. */
  templates?: Partial<Templates>;
}

/**
 * An explanation in one to three short sentences, as plain text. An item of the history is named only if what it adds
 * is more than twice its standard error. Show the sentences as text, not as markup: titles are in them as they are.
 */
export function sentences(explanation: Explanation, { titles = {}, templates }: SentenceOptions = {}): string[] {
  const texts = { ...ENGLISH, ...templates };
  // An item may have several events.
  const items = new Map<string, { item: string; part: number; error: number; events: number; without?: number }>();
  for (const { item, part, error, place_without: without } of explanation.events) {
    const one = items.get(item) ?? { item, part: 0, error: 0, events: 0 };
    const all = { item, part: one.part + part, error: one.error + error, events: one.events + 1 };
    items.set(item, without === undefined ? all : { ...all, without });
  }
  const named = [...items.values()].filter(({ part, error }) => Math.abs(part) > 2 * error);
  const raising = named.filter(({ part }) => part > 0).sort((a, b) => b.part - a.part);
  const lowering = named.filter(({ part }) => part < 0).sort((a, b) => a.part - b.part)[0];
  const title = (item: string) => (Object.hasOwn(titles, item) && titles[item]) || item;
  const said: string[] = [];
  const say = (template: string, values: Record<string, string | number> = {}) => {
    // A title may have braces of its own, so each place is filled once.
    if (template) said.push(template.replace(/\{(title|other|place|now)\}/g, (place, name) => String(values[name] ?? place)));
  };

  const [first, second] = raising;
  if (first) {
    const name = title(first.item);
    if (second && second.part > first.part / 2) say(texts.both, { title: name, other: title(second.item) });
    else say(texts.because, { title: name });
    const { without, events } = first;
    if (events === 1 && without !== undefined && without > explanation.place)
      say(texts.without, { title: name, place: without, now: explanation.place });
  } else say(explanation.context > 0 ? texts.context : texts.none);
  if (lowering && -lowering.part > (first?.part ?? 0)) say(texts.against, { title: title(lowering.item) });
  return said;
}
