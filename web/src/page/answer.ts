import type { Info, Item } from '../package/index.js';
import { el, icon, iconButton, toolbar } from './dom.js';

/** The longest scale that is shown as stars. */
const MOST_STARS = 10;

/**
 * One rating for each bucket of the bundle's rating values, lowest first. Empty if the bundle was trained without
 * ratings or has too many buckets.
 */
export function scaleOf(info: Info): number[] {
  const edges = info.encoding.history.value_edges;
  const [first, last] = [edges[0], edges.at(-1)];
  if (first === undefined || last === undefined || edges.length + 1 > MOST_STARS) return [];
  const half = edges.length > 1 ? (last - first) / (edges.length - 1) / 2 : 0.5;
  const inner = edges.slice(1).map((edge, i) => ((edges[i] ?? edge) + edge) / 2);
  return [first - half, ...inner, last + half];
}

/** What the visitor has answered: a rating, or a like if there is none. */
export type Answer = { rating: number | undefined };

/** A like button, and stars if there is a scale. The button of the answer that was `given` is pressed. */
export function answerButtons(item: Item, scale: number[], given: Answer | undefined, answer: (to: Answer) => void): HTMLElement {
  const name = item.title ?? item.id;
  const pressed = (rating: number | undefined) => String(given !== undefined && given.rating === rating);
  const like = iconButton('heart', `Like ${name}`, () => answer({ rating: undefined }));
  like.setAttribute('aria-pressed', pressed(undefined));
  const stars = scale.map((rating, i) => {
    const place = `${i + 1} of ${scale.length}`;
    const upTo = given?.rating !== undefined && rating <= given.rating;
    return el(
      'button',
      {
        type: 'button',
        'aria-label': `Rate ${name}: ${place}`,
        'aria-pressed': pressed(rating),
        title: place,
        ...(upTo && { 'data-on': '' }),
        click: () => answer({ rating }),
      },
      icon('star'),
    );
  });
  if (stars.length === 0) return el('span', { class: 'answer' }, like);
  const bar = toolbar(`Like or rate ${name}`, [like, ...stars], like, el('span', { class: 'stars' }, ...stars));
  bar.classList.add('answer');
  return bar;
}

/** The first three columns of an item in one line; undefined if it has none. */
export function fieldsLine(item: Item): HTMLElement | undefined {
  const text = (value: unknown) => (Array.isArray(value) ? value.slice(0, 4).join(', ') : String(value).slice(0, 80));
  const parts = Object.values(item.fields).map((value) => text(value).replaceAll('|', ', '));
  return parts.length > 0 ? el('span', { class: 'fields' }, parts.slice(0, 3).join(' · ')) : undefined;
}
