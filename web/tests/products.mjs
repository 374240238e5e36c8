// Writes a data folder that differs from films: products with string ids and titles, without ratings and columns.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** How many users of the real data are used. */
const USERS = 1200;

const cell = (text) => `"${text.replaceAll('"', '""')}"`;
const table = (head, rows) => `${[head, ...rows.map((row) => row.join(','))].join('\n')}\n`;

/** Uses Amazon toys if the research data is beside the checkout, else generated products. */
export function writeProducts(root, folder) {
  const source = join(root, '../shared/data/seqrec-titles/amazon2014-toy');
  const real = existsSync(source);
  const { events, titles } = real ? ofToys(source) : madeUp();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'events.csv'), table('user,item,timestamp', events));
  writeFileSync(
    join(folder, 'items.csv'),
    table(
      'item,title',
      [...titles].map(([id, title]) => [id, cell(title)]),
    ),
  );
  return real ? 'real products' : 'made-up products';
}

function ofToys(source) {
  const lines = (name) =>
    gunzipSync(readFileSync(join(source, name)))
      .toString()
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'));
  const all = lines('interactions.tsv.gz').filter(([user]) => Number(user) < 100 + USERS);
  const events = all.map(([user, item, time]) => [`buyer ${user}`, `toy-${item}`, time]);
  const bought = new Set(events.map(([, item]) => item));
  const titles = new Map(
    lines('items.tsv.gz')
      .map(([item, title]) => [`toy-${item}`, title])
      .filter(([id]) => bought.has(id)),
  );
  return { events, titles };
}

function madeUp() {
  const kinds = ['puzzle', 'kite', 'robot', 'drum', 'boat', 'doll', 'train', 'ball'];
  const colours = ['red', 'blue', 'green', 'wooden', 'tiny', 'giant', 'loud', 'old', 'new', 'soft'];
  const titles = new Map(
    kinds.flatMap((kind) => colours.map((colour) => [`${kind}/${colour}`, `The ${colour} ${kind} <b>№1</b>`])),
  );
  const ids = [...titles.keys()];
  let state = 1;
  const draw = (n) => {
    state = (state * 48271) % 2147483647;
    return state % n;
  };
  const events = [];
  for (let user = 0; user < 300; user++) {
    const kind = draw(kinds.length);
    for (let i = 0; i < 12; i++) {
      const item = draw(3) > 0 ? ids[kind * colours.length + draw(colours.length)] : ids[draw(ids.length)];
      events.push([`buyer ${user}`, item, 1_600_000_000 + user * 5000 + i * 90]);
    }
  }
  return { events, titles };
}
