// What the cells of components tell once an item was clicked.
import { answer } from './trial.js';

/** What a component has shown, and what the log says of it: a list of items that were seen, the item of an event. */
export async function clicked(rec, slate) {
  const lines = (await rec.exportLog()).trim().split('\n');
  const log = lines.map((line) => JSON.parse(line)).filter((line) => line.slate === slate.id);
  return { ...answer(rec, slate), log: log.map(({ item, slots }) => item ?? slots.map((slot) => slot.item)) };
}
