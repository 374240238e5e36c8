// Follows the elements of a page. Each gets a history, draws a slate and waits for a click.
import { clicked } from './clicked.js';
import { begin, failed } from './trial.js';

/** The slate that an element draws after `before`. */
function drawn(element, before) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const { slate, error } = element.state;
      if (error !== undefined) reject(error);
      else if (slate && slate !== before) resolve(slate);
    };
    element.addEventListener('foretaste-state', look);
    look();
  });
}

async function visit(element) {
  const first = await drawn(element);
  await begin(element.recommender);
  element.reload();
  const slate = await drawn(element, first);
  element.classList.add('ready');
  await new Promise((resolve) => element.addEventListener('foretaste-record', resolve, { once: true }));
  return clicked(element.recommender, slate);
}

/** The results of all elements, by their ids. */
export async function follow() {
  const elements = [...document.querySelectorAll('foretaste-slate')];
  const results = elements.map(async (element) => [element.id, await visit(element).catch(failed)]);
  return Object.fromEntries(await Promise.all(results));
}
