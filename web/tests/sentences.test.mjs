// Explanations in words: which items are named, places without them, other languages, titles that are markup.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sentences } from '../dist/package/sentences.js';

const GERMAN = {
  because: 'Wegen {title}.',
  both: 'Wegen {title} und {other}.',
  without: 'Ohne {title} wäre es auf Platz {place} statt auf Platz {now}.',
  against: '{title} spricht dagegen.',
  context: 'Es passt zum Moment.',
  none: 'Es gefällt vielen.',
};

/** An explanation with events of items `a`, `b`, …: part, standard error, and place without it. */
const why = (events, { context = 0, place = 2 } = {}) => ({
  score: 0,
  bias: 0,
  context,
  older: 0,
  place,
  events: events.map(([item, part, error = 0, place_without], i) => ({
    event: `e${i}`,
    item,
    part,
    error,
    ...(place_without !== undefined && { place_without }),
  })),
});

test('the items that raise the score most are named, and the place without the first', () => {
  const titles = { a: 'Alien', b: 'Brazil' };
  const two = why([
    ['b', 0.6, 0.1, 5],
    ['c', 0.2],
    ['a', 1, 0.1, 14],
  ]);
  assert.deepEqual(sentences(two, { titles }), ['Because of Alien and Brazil.', 'Without Alien it would be number 14, not 2.']);
  assert.deepEqual(sentences(two, { titles, templates: GERMAN }), [
    'Wegen Alien und Brazil.',
    'Ohne Alien wäre es auf Platz 14 statt auf Platz 2.',
  ]);
  assert.deepEqual(sentences(two, { titles, templates: { without: '' } }), ['Because of Alien and Brazil.']);
  // Half of the first is too little, and a place that is no worse says nothing.
  assert.deepEqual(
    sentences(
      why([
        ['a', 1, 0, 2],
        ['b', 0.5],
      ]),
    ),
    ['Because of a.'],
  );
  // An item with two events: what both add, and no place, which is that without one of them.
  assert.deepEqual(
    sentences(
      why([
        ['a', 0.4, 0, 9],
        ['b', 0.7, 0, 9],
        ['a', 0.4, 0, 9],
      ]),
      { titles },
    ),
    ['Because of Alien and Brazil.'],
  );
});

test('what may be chance is not named', () => {
  assert.deepEqual(sentences(why([['a', 1, 0.6]], { context: 0.1 })), ['It suits the moment.']);
  assert.deepEqual(sentences(why([['a', 1, 0.6]])), ['It suits many visitors.']);
  assert.deepEqual(sentences(why([]), { templates: GERMAN }), ['Es gefällt vielen.']);
});

test('an item that lowers the score is named where it outweighs the others', () => {
  assert.deepEqual(
    sentences(
      why([
        ['a', 0.3],
        ['b', -0.2],
      ]),
    ),
    ['Because of a.'],
  );
  assert.deepEqual(
    sentences(
      why([
        ['a', 0.3],
        ['b', -0.4],
      ]),
    ),
    ['Because of a.', 'b speaks against it.'],
  );
  assert.deepEqual(sentences(why([['b', -0.4]], { context: 1 })), ['It suits the moment.', 'b speaks against it.']);
});

test('titles are text, whatever is in them, and ids may be names of methods', () => {
  const titles = { a: '<b>{other}</b> $& {title}', b: '{place}' };
  const two = why([
    ['a', 1],
    ['b', 0.9],
  ]);
  assert.deepEqual(sentences(two, { titles }), ['Because of <b>{other}</b> $& {title} and {place}.']);
  assert.deepEqual(sentences(why([['constructor', 1]]), { titles }), ['Because of constructor.']);
});
