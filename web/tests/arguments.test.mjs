// Arguments of any kind are refused with a code or do what they say. None reaches the core before it was checked, so
// none can harm later calls.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { codeOf, renamedColumns, TINY, trapping } from './support.mjs';

const traps = trapping();
const { load } = await import('../dist/package/index.js');

const CODES = ['accepted', 'argument', 'range', 'length', 'unknown-key', 'unknown-item', 'malformed', 'limit'];
const thrower = (make) =>
  make(() => {
    throw new TypeError('thrown by the page');
  });

/** What is no text, no list, no number and no object of options, each by name. */
const ODD = {
  undefined: undefined,
  null: null,
  true: true,
  number: 5,
  NaN: NaN,
  infinite: -Infinity,
  negative: -1,
  'too large': 2 ** 32 + 1,
  fraction: 1.5,
  bigint: 5n,
  symbol: Symbol('s'),
  function: () => 1,
  text: 'x',
  'lone surrogate': '\ud800',
  'zero byte': '5\0',
  '__proto__ text': '__proto__',
  'long text': 'x'.repeat(1e6),
  date: new Date(0),
  map: new Map([['k', 1]]),
  list: [],
  numbers: [1, 2],
  'list of null': ['1', null],
  holes: Object.assign([], { 1: '1' }),
  nested: [['1']],
  'list of symbols': [Symbol('s')],
  'long list': Array(1e4).fill('1'),
  'list-like': { length: 1e9 },
  'negative length': { length: -1 },
  'proxy with a length': new Proxy(['1'], { get: (target, key) => (key === 'length' ? 1e9 : target[key]) }),
  'proxy that throws': thrower((get) => new Proxy({}, { get, ownKeys: get, has: get, getPrototypeOf: get })),
  'revoked proxy': (() => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  })(),
  'getter that throws': thrower((get) => Object.defineProperty({}, 'k', { get, enumerable: true })),
  'member that throws': thrower((get) => Object.defineProperty([], 0, { get, enumerable: true })),
  toJSON: { toJSON: () => 'x' },
  'throws as text': thrower((fail) => ({ toString: fail, [Symbol.toPrimitive]: fail })),
  'no prototype': Object.create(null),
  cyclic: (() => {
    const cycle = {};
    cycle.k = cycle;
    return cycle;
  })(),
  deep: JSON.parse('['.repeat(5000) + ']'.repeat(5000)),
  'own __proto__': JSON.parse('{"__proto__":{"k":1}}'),
  'detached vector': (() => {
    const detached = new Float32Array(16);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    return detached;
  })(),
};

/** Calls with an odd value at each place. */
const CALLS = {
  rank: (rec, odd) => rec.rank(odd),
  'rank member': (rec, odd) => rec.rank(['1', odd]),
  'rank request': (rec, odd) => rec.rank(['1'], odd),
  similar: (rec, odd) => rec.similar(odd),
  'similar options': (rec, odd) => rec.similar('5', odd),
  'similar k': (rec, odd) => rec.similar('5', { k: odd }),
  find: (rec, odd) => rec.find(odd),
  explain: (rec, odd) => rec.explain(odd, '1'),
  'explain id': (rec, odd) => rec.explain('x', odd),
  featureValues: (rec, odd) => rec.featureValues(odd),
  'featureValues request': (rec, odd) => rec.featureValues([], odd),
  'find k': (rec, odd) => rec.find('', { k: odd }),
  search: (rec, odd) => rec.search(odd),
  'search member': (rec, odd) => rec.search(Array(16).fill(odd)),
  'search k': (rec, odd) => rec.search(new Float32Array(16), { k: odd }),
  'search effort': (rec, odd) => rec.search(new Float32Array(16), { effort: odd }),
  recommend: (rec, odd) => rec.recommend(odd),
  record: (rec, odd) => rec.record(odd),
  import: (rec, odd) => rec.profile.import(odd),
  setConsent: (rec, odd) => rec.setConsent(odd),
  'setConsent member': (rec, odd) => rec.setConsent({ later: odd, storage: odd }),
  'import member': (rec, odd) => rec.profile.import([{ id: 'i', item: '1', type: 'view' }, odd]),
  remove: (rec, odd) => rec.profile.remove(odd),
  assign: (rec, odd) => rec.assign(odd),
  ...Object.fromEntries(
    [
      'k',
      'context',
      'vector',
      'neighbours',
      'rank',
      'exclude',
      'diversity',
      'caps',
      'explore',
      'effort',
      'time',
      'tz_offset_min',
      'surprise',
    ].map((key) => [`recommend ${key}`, (rec, odd) => rec.recommend({ [key]: odd })]),
  ),
  ...Object.fromEntries(
    ['policy', 'epsilon', 'seed', 'decision', 'temperature'].map((key) => [
      `explore ${key}`,
      (rec, odd) => rec.recommend({ explore: { policy: 'softmax', [key]: odd } }),
    ]),
  ),
  ...Object.fromEntries(
    ['id', 'item', 'type', 'value', 'time', 'tz_offset_min', 'slate', 'surprise'].map((key) => [
      `record ${key}`,
      (rec, odd) => rec.record({ item: '1', [key]: odd }),
    ]),
  ),
  ...Object.fromEntries(
    ['name', 'unit', 'arms'].map((key) => [
      `assign ${key}`,
      (rec, odd) => rec.assign({ name: 'e', unit: 'u', arms: { a: 1, b: 1 }, [key]: odd }),
    ]),
  ),
  'assign weight': (rec, odd) => rec.assign({ name: 'e', unit: 'u', arms: { a: 1, b: odd } }),
};

describe('arguments of the wrong type', () => {
  let rec;
  before(async () => (rec = await load(pathToFileURL(`${TINY}/`))));
  after(() => rec.dispose());

  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name} refuses what it cannot take`, async () => {
      for (const [kind, odd] of Object.entries(ODD)) {
        const since = performance.now();
        const code = await codeOf(call(rec, odd));
        assert.ok(CODES.includes(code), `${kind}: ${code}`);
        assert.ok(performance.now() - since < 4000, `${kind} takes ${performance.now() - since} ms`);
      }
      await rec.profile.clear();
      assert.equal((await rec.recommend({ k: 3 })).items.length, 3);
    });
  }

  test('none of them has made the core trap', async () => {
    assert.equal(traps.instances.core, 1);
    assert.deepEqual(await rec.replayGolden(), []);
  });

  test('very long arguments are refused or read, in little time', async () => {
    const [list, long] = [Array(1e6).fill('1'), 'x'.repeat(100e6)];
    const calls = {
      rank: () => rec.rank(list),
      exclude: () => rec.recommend({ exclude: list }),
      import: () => rec.profile.import(Array.from({ length: 1e5 }, (_, i) => ({ id: `${i}`, item: '1', type: 'view' }))),
      arms: () => rec.assign({ name: 'e', unit: 'u', arms: Object.fromEntries(list.slice(0, 1e5).map((_, i) => [i, 1])) }),
      similar: () => rec.similar(long),
      record: () => rec.record({ item: long }),
    };
    for (const [name, call] of Object.entries(calls)) {
      const since = performance.now();
      const code = await codeOf(call());
      assert.ok(CODES.includes(code), `${name}: ${code}`);
      assert.ok(performance.now() - since < 10_000, `${name} takes ${performance.now() - since} ms`);
    }
    await rec.profile.clear();
  });

  test('a getter is called once, and what it gives the second time does not count', async () => {
    let calls = 0;
    const event = {
      get item() {
        calls += 1;
        return calls === 1 ? '1' : '2';
      },
    };
    assert.equal((await rec.record(event)).item, '1');
    assert.equal(calls, 1);
    const list = ['1'];
    const slate = rec.recommend({ exclude: list });
    list[0] = 7;
    assert.ok((await slate).items.length > 0);
    await rec.profile.clear();
  });

  test('what a call returns is a copy', async () => {
    const kept = await rec.record({ item: '1', type: 'view' });
    kept.item = 5;
    (await rec.profile.get())[0].item = 6;
    assert.equal((await rec.profile.get())[0].item, '1');
    rec.features().policies.length = 0;
    assert.equal(rec.features().policies.length, 5);
    await rec.profile.clear();
  });

  test('times that are none in milliseconds are refused before they are kept', async () => {
    for (const time of [1.7e18, -1.7e18, 8.64e15 + 1, 2 ** 60]) {
      assert.equal(await codeOf(rec.record({ item: '1', time })), 'range');
      assert.equal(await codeOf(rec.profile.import([{ id: 'a', item: '1', type: 'view', time }])), 'range');
      assert.equal(await codeOf(rec.recommend({ time })), 'range');
    }
    assert.deepEqual(await rec.profile.get(), []);
    assert.equal(await rec.exportLog(), '');
    await rec.record({ item: '1', time: 8.64e15 });
    assert.equal(JSON.parse(await rec.exportLog()).time, 8.64e15);
    await rec.profile.clear();
  });

  test('ids and columns have any name', async () => {
    const other = await load(pathToFileURL(`${renamedColumns(TINY, { category: '__proto__', tags: 'constructor' })}/`));
    const proto = '__proto__';
    const [item] = await other.similar('5', { k: 1 });
    assert.deepEqual(
      [Object.getPrototypeOf(item.fields), Object.keys(item.fields).sort()],
      [null, ['__proto__', 'constructor', 'price']],
    );
    assert.deepEqual([typeof item.fields[proto], item.fields.toString], ['string', undefined]);
    const context = JSON.parse('{"__proto__":1}');
    assert.equal(await codeOf(other.recommend({ context })), 'unknown-key');
    const slate = await other.recommend({ k: 3, caps: JSON.parse('{"__proto__":1}') });
    assert.equal(new Set(slate.items.map(({ fields }) => fields[proto])).size, slate.items.length);
    assert.ok((await other.exportLog()).includes('"caps":{"__proto__":1}'));
    await other.record({ item: '__proto__', type: 'constructor' });
    assert.equal((await other.profile.get())[0].item, '__proto__');
    other.dispose();
  });

  test('options of `load` have types', async () => {
    const { href } = pathToFileURL(`${TINY}/`);
    const refused = {
      argument: [
        null,
        5,
        'x',
        [],
        { signal: null },
        { signal: 5 },
        { onProgress: 5 },
        { cache: 'x' },
        { integrity: 5 },
        { maxBytes: 'x' },
        { namespace: 5 },
        { tower: 1 },
        { storage: 'x' },
        { consent: null },
        { consent: 5 },
        { consent: { storage: 'x' } },
        { consent: { profiling: null } },
        { consent: { analytics: true } },
        { wasm: null },
        thrower((get) => Object.defineProperty({}, 'worker', { get, enumerable: true })),
        {
          onProgress: () => {
            throw new Error('of the page');
          },
        },
      ],
      range: [{ maxBytes: NaN }, { maxBytes: -1 }, { worker: 0 }, { worker: 65 }, { worker: 'x' }, { worker: NaN }],
    };
    for (const [code, list] of Object.entries(refused))
      for (const [i, options] of list.entries()) assert.equal(await codeOf(load(href, options)), code, `${code} ${i}`);
    for (const url of [
      '',
      'nope',
      'http://[',
      'data:,x',
      'javascript:1',
      5,
      null,
      undefined,
      {},
      Symbol('s'),
      ODD['throws as text'],
    ])
      assert.equal(await codeOf(load(url)), 'argument');
  });
});
