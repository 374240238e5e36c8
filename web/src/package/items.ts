import type { Item } from './types.js';

/**
 * The items with fields that are nothing but their columns: an object without a prototype, because a column may be
 * called `constructor`. The core gives them as a `Map`, a worker as plain objects.
 */
export function bareFields(items: Item[]): Item[] {
  for (const item of items) {
    const given: object = item.fields;
    const fields = Object.create(null) as Item['fields'];
    for (const [name, value] of given instanceof Map ? given : Object.entries(given)) fields[name] = value;
    item.fields = fields;
  }
  return items;
}
