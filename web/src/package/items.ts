import type { Item } from './types.js';

/**
 * Named values as an object without a prototype, because a name may be `constructor`. The core gives them as a `Map`, a
 * worker as plain objects.
 */
export function bare(given: Item['fields']): Item['fields'] {
  const fields = Object.create(null) as Item['fields'];
  const named: object = given;
  for (const [name, value] of named instanceof Map ? named : Object.entries(given)) fields[name] = value;
  return fields;
}

/** The items with fields that are nothing but their columns. */
export function bareFields(items: Item[]): Item[] {
  for (const item of items) item.fields = bare(item.fields);
  return items;
}
