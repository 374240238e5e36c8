// The npm package in Node, on the committed bundle.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { load } from '../dist/package/index.js';
import { changed, codeOf, DIST, faultyBundles, join, nativeIds, TINY, withOptionalFeature } from './support.mjs';

let visitors = 0;
/** A recommender of its own: loads with equal options would share one. */
const open = (folder, options) => load(pathToFileURL(`${folder}/`), { namespace: `visitor ${visitors++}`, ...options });
/** The bytes of a module. */
const moduleBytes = (name) => statSync(join(DIST, `package/wasm/${name}.wasm`)).size;
const ids = (list) => list.map((item) => item.id);

describe('the package in Node', () => {
  let rec;
  before(async () => {
    rec = await open(TINY);
  });

  test('replays the golden rows', async () => {
    assert.deepEqual(await rec.replayGolden(), []);
  });

  test('recommends what the native command does', async () => {
    await rec.profile.clear();
    for (const item of ['50', '18', '17']) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
    const slate = await rec.recommend({ k: 10 });
    assert.deepEqual(ids(slate.items), nativeIds(TINY, '--history', '50,18,17', '-k', 10));
    assert.ok(slate.items.every((item) => item.propensity === 1));
    assert.ok(slate.items.every((item) => item.rating >= 1 && item.rating <= 5));
    assert.ok(Object.values(slate.timings_us).every((us) => us >= 0));
    assert.deepEqual(ids(await rec.rank(ids(slate.items).reverse())), ids(slate.items));
  });

  test('explores the same way for the same seed and decision', async () => {
    const explore = { policy: 'epsilon-greedy', epsilon: 0.5, seed: 3, decision: 'a' };
    const [one, two] = [await rec.recommend({ explore }), await rec.recommend({ explore })];
    assert.deepEqual(one.items, two.items);
    const other = await rec.recommend({ explore: { ...explore, seed: 4 } });
    assert.notDeepEqual(ids(one.items), ids(other.items));
    const none = await rec.recommend({ explore: { ...explore, epsilon: 0 } });
    assert.deepEqual(ids(none.items), ids((await rec.recommend()).items));
  });

  test('draws the same slates as every other target', async () => {
    const golden = JSON.parse(readFileSync(new URL('../../tests/fixtures/draws.json', import.meta.url), 'utf8'));
    await rec.profile.clear();
    await rec.record({ item: '50', type: 'like', time: 1000, tz_offset_min: null });
    await rec.record({ item: '7', type: 'hide', time: 2000, tz_offset_min: null });
    for (const { request, ids: expected, propensities } of golden) {
      const slate = await rec.recommend(request);
      assert.deepEqual(ids(slate.items), expected, slate.policy);
      slate.items.forEach(({ propensity }, i) =>
        assert.ok(Math.abs(propensity - propensities[i]) < 1e-4, `${slate.policy} ${propensity}`),
      );
      assert.equal(slate.items[0].standard_error !== undefined, slate.policy === 'thompson');
    }
    assert.deepEqual(
      rec.features().policies,
      golden.map(({ request }) => request.explore.policy),
    );
    const shown = JSON.parse((await rec.exportLog()).trim().split('\n').at(-1));
    assert.deepEqual([shown.policy, shown.request.explore.prior, shown.request.explore.decision], ['thompson', 1, 'golden']);
    assert.ok(shown.slots.every((slot) => slot.standard_error > 0));
    await rec.profile.clear();
  });

  test('says why an item has its score: the parts sum to it', async () => {
    await rec.profile.clear();
    for (const item of ['50', '7']) await rec.record({ item, type: 'like' });
    for (const hold of [false, true]) {
      const slate = await rec.recommend({ k: 3, hold });
      for (const { id, score } of slate.items) {
        const why = await rec.explain(slate.id, id);
        const parts = why.events.reduce((sum, { part }) => sum + part, why.bias + why.context + why.older);
        assert.ok(Math.abs(parts - why.score) < 1e-4 && Math.abs(why.score - score) < 1e-4, JSON.stringify(why));
        assert.deepEqual(
          why.events.map(({ item }) => item),
          ['50', '7'],
        );
      }
      assert.equal(await codeOf(rec.explain(slate.id, 'nowhere')), 'unknown-item');
    }
    assert.equal(await codeOf(rec.explain('nowhere', '1')), 'argument');
    // This bundle has no ranker.
    const { visitor, items } = await rec.featureValues(['50', '7']);
    assert.deepEqual([visitor, ...items].map(Object.keys), [[], [], []]);
    await rec.profile.clear();
  });

  test('records, removes, exports, imports and clears events', async () => {
    await rec.profile.clear();
    const kept = await rec.record({ item: '3', value: 5 });
    assert.equal(kept.type, 'rate');
    assert.ok(Math.abs(kept.time - Date.now()) < 10_000);
    assert.ok(!ids((await rec.recommend({ k: 100 })).items).includes('3'));
    const text = await rec.profile.export();
    assert.equal(await rec.profile.remove(kept.id), true);
    assert.equal(await rec.profile.remove(kept.id), false);
    assert.deepEqual(await rec.profile.get(), []);
    await rec.profile.import(text);
    assert.deepEqual(await rec.profile.get(), [kept]);
    const events = await rec.profile.get();
    assert.deepEqual(JSON.parse(text), { version: 1, events });
    // Before version 1 it was the list.
    for (const earlier of [JSON.stringify(events), text]) {
      await rec.profile.clear();
      await rec.profile.import(earlier);
      assert.deepEqual(await rec.profile.get(), events);
    }
    assert.equal(await codeOf(rec.profile.import(text.replace('"version":1', '"version":2'))), 'too-new');
    for (const none of ['{"version":1}', '{"version":"1","events":[]}', '{}', 'null', '5'])
      assert.equal(await codeOf(rec.profile.import(none)), 'argument', none);
    assert.deepEqual(await rec.profile.get(), events);
    assert.equal(await codeOf(rec.profile.import('{')), 'malformed');
    assert.equal(await codeOf(rec.profile.import([{ item: '', type: 'like' }])), 'argument');
    assert.deepEqual(await rec.profile.get(), [kept], 'nothing is lost');
    await rec.profile.clear();
    assert.equal(await rec.exportLog(), '');
  });

  test('logs slates with propensities, and the answers to them', async () => {
    await rec.profile.clear();
    const slate = await rec.recommend({ k: 2, explore: { policy: 'epsilon-greedy', epsilon: 1, seed: 1 } });
    await rec.record({ item: slate.items[0].id, type: 'like', slate: slate.id });
    const [shown, answer] = (await rec.exportLog())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      shown.slots.map((slot) => slot.propensity),
      [1 / 60, 1 / 59],
    );
    assert.equal(answer.slate, shown.slate);
    await rec.profile.clear();
  });

  test('assigns the same arms as every other target, and logs each once', async () => {
    await rec.profile.clear();
    const golden = JSON.parse(readFileSync(new URL('../../tests/fixtures/assignments.json', import.meta.url), 'utf8'));
    for (const { name, unit, arms, arm } of golden)
      assert.equal(await rec.assign({ name, unit, arms: Object.fromEntries(arms) }), arm, `${name} ${unit}`);
    const lines = async () =>
      (await rec.exportLog())
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    assert.deepEqual(
      (await lines()).map(({ experiment, unit, arm }) => [experiment, unit, arm]),
      golden.map(({ name, unit, arm }) => [name, unit, arm]),
    );
    await rec.profile.clear();
    const arms = { control: 1, thompson: 1 };
    const arm = await rec.assign({ name: 'policy', arms });
    assert.equal(await rec.assign({ name: 'policy', arms }), arm);
    const [line, ...rest] = await lines();
    assert.deepEqual(
      [Object.keys(line), line.type, line.arm, rest],
      [['type', 'experiment', 'arm', 'unit', 'time'], 'assignment', arm, []],
    );
    assert.ok(/^[0-9a-f-]{36}$/.test(line.unit) && Math.abs(line.time - Date.now()) < 10_000);
    await rec.assign({ name: 'other', arms });
    assert.equal((await lines())[1].unit, line.unit, 'one visitor');
    await rec.profile.clear();
    await rec.assign({ name: 'policy', arms });
    assert.notEqual((await lines())[0].unit, line.unit, 'forgotten');
    assert.deepEqual(await rec.profile.get(), []);
    await rec.profile.clear();
  });

  test('refuses invalid experiments', async () => {
    const code = (experiment) => codeOf(rec.assign(experiment));
    const arms = { a: 1, b: 1 };
    const long = 'x'.repeat(4097);
    for (const name of ['', long, 'e\0', undefined, 7]) assert.equal(await code({ name, arms }), 'argument');
    for (const unit of ['', long, null, 7]) assert.equal(await code({ name: 'e', arms, unit }), 'argument');
    for (const of of [{}, { a: 1 }, { a: 1, '': 1 }, { a: 1, [long]: 1 }, undefined, null])
      assert.equal(await code({ name: 'e', arms: of }), 'argument');
    for (const weight of [0, -1, NaN, Infinity, '1', 1n, null, undefined])
      assert.equal(await code({ name: 'e', arms: { a: 1, b: weight } }), 'range');
    assert.equal(await rec.exportLog(), '');
  });

  test('finds similar items, and items by title', async () => {
    const similar = await rec.similar('5', { k: 3 });
    assert.equal(similar.length, 3);
    assert.ok(similar.every((item) => item.id !== '5' && item.score <= 1));
    const title = similar[0].title;
    assert.ok(ids(await rec.find(title.toUpperCase())).includes(similar[0].id));
    assert.deepEqual(await rec.find('no such title'), []);
  });

  test('searches for a given vector', async () => {
    const vector = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
    const found = await rec.search(vector, { k: 60 });
    assert.equal(found.length, 60);
    assert.ok(found.every((item, i) => i === 0 || found[i - 1].score >= item.score));
    assert.deepEqual(await rec.search(vector, { k: 5, effort: 'fast' }), found.slice(0, 5));
    const twice = await rec.search(
      vector.map((x) => 2 * x),
      { k: 60 },
    );
    const bias = (id) => 2 * found.find((item) => item.id === id).score - twice.find((item) => item.id === id).score;
    const popular = await rec.find('', { k: 60 });
    assert.ok(
      popular.every((item) => Math.abs(bias(item.id) - item.score) < 1e-4),
      'u · v + b',
    );
    assert.equal(await codeOf(rec.search(new Float32Array(3))), 'length');
    assert.equal(await codeOf(rec.search(vector.map(() => NaN))), 'range');
  });

  test('needs no tower if the page gives a vector', async () => {
    const progress = [];
    const slim = await open(TINY, { tower: false, onProgress: (now) => progress.push(now) });
    await slim.ready;
    assert.equal(slim.features().model, 'none');
    const { files } = JSON.parse(readFileSync(join(TINY, 'manifest.json'), 'utf8'));
    const bytes = (...roles) => files.filter(({ role }) => roles.includes(role)).reduce((sum, file) => sum + file.bytes, 0);
    const all = bytes('items', 'catalog') + moduleBytes('core-simd128');
    assert.deepEqual([progress.at(-1).total, progress.at(-1).loaded], [all, all]);
    for (const call of [slim.recommend(), slim.rank(['5'])]) assert.equal(await codeOf(call), 'no-model');
    assert.equal(await codeOf(slim.recommend({ vector: [1, 2] })), 'length');
    const vector = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
    const found = await slim.search(vector, { k: 4 });
    const { items } = await slim.recommend({ k: 4, vector });
    assert.deepEqual(
      items.map(({ id, score }) => [id, score]),
      found.map(({ id, score }) => [id, score]),
    );
    assert.deepEqual(ids(await slim.rank(ids(items).reverse(), { vector })), ids(items));
    await slim.record({ item: items[0].id });
    const explored = await slim.recommend({ vector: Array.from(vector), explore: { policy: 'thompson', seed: 1 } });
    assert.ok(
      !ids(explored.items).includes(items[0].id) && explored.items.every(({ propensity }) => propensity > 0 && propensity <= 1),
    );
    const line = JSON.parse((await slim.exportLog()).trim().split('\n').at(-1));
    assert.deepEqual(Float32Array.from(line.request.vector), vector);
    slim.dispose();
  });

  test('errors have codes', async () => {
    assert.equal(await codeOf(rec.similar('nowhere')), 'unknown-item');
    assert.equal(await codeOf(rec.recommend({ k: 0 })), 'range');
    assert.equal(await codeOf(rec.recommend({ K: 5 })), 'unknown-key');
    assert.equal(await codeOf(rec.recommend({ context: { shoe: 1 } })), 'unknown-key');
    assert.equal(await codeOf(rec.recommend({ explore: { policy: 'best' } })), 'argument');
    assert.equal(await codeOf(rec.recommend({ explore: { alpah: 1 } })), 'argument');
    assert.equal(await codeOf(rec.recommend({ diversity: 2 })), 'range');
    assert.equal(await codeOf(rec.record({ item: '1', value: NaN })), 'range');
    assert.equal(await codeOf(open(TINY, { worker: 0 })), 'range');
    assert.equal(await codeOf(open(TINY, { worker: 1.5 })), 'range');
    assert.equal(await codeOf(open(TINY, { maxBytes: 10 })), 'limit');
    assert.equal(await codeOf(open(join(TINY, 'nowhere'))), 'missing');
    assert.equal(await codeOf(load('not an address')), 'argument');
    assert.equal(await codeOf(open(TINY, { signal: AbortSignal.abort() })), 'AbortError');
  });

  test('pins the manifest by its integrity', async () => {
    const digest = createHash('sha256')
      .update(readFileSync(join(TINY, 'manifest.json')))
      .digest('base64');
    (await open(TINY, { integrity: `sha256-${digest}` })).dispose();
    assert.equal(await codeOf(open(TINY, { integrity: 'sha256-AAAA' })), 'hash');
  });

  test('reports progress and features', async () => {
    const seen = [];
    // Node has no web workers, so the package works in this thread.
    const other = await open(TINY, { onProgress: (progress) => seen.push(progress), worker: true });
    await other.ready;
    assert.equal(seen[0].loaded, 0);
    assert.ok(seen.every(({ loaded, total, memory }) => loaded <= total && memory > 0));
    assert.equal(seen.at(-1).loaded, seen.at(-1).total, 'towers too');
    assert.deepEqual(other.features(), {
      storage: 'memory',
      consent: { storage: true, profiling: true },
      setAside: 0,
      model: 'ready',
      policies: ['greedy', 'epsilon-greedy', 'softmax', 'ucb', 'thompson'],
      workers: 0,
    });
    other.dispose();
    other.dispose();
    assert.equal(await codeOf(other.recommend()), 'disposed');
    assert.equal(await codeOf(other.assign({ name: 'e', arms: { a: 1, b: 1 } })), 'disposed');
  });

  test('consent changes what is kept in memory, too', async () => {
    const other = await open(TINY, { consent: { profiling: false } });
    const expected = ids((await other.recommend({ k: 9 })).items);
    assert.equal((await other.record({ item: '50', type: 'like' })).item, '50');
    assert.deepEqual([await other.profile.get(), await other.exportLog()], [[], '']);
    assert.deepEqual(ids((await other.recommend({ k: 9 })).items), expected);
    await other.setConsent({ profiling: true });
    await other.record({ item: '50', type: 'like' });
    assert.notDeepEqual(ids((await other.recommend({ k: 9 })).items), expected);
    await other.setConsent({});
    for (const storage of [false, true]) await other.setConsent({ storage });
    assert.equal((await other.profile.get()).length, 1);
    await other.setConsent({ profiling: false });
    assert.deepEqual(other.features().consent, { storage: true, profiling: false });
    assert.deepEqual([await other.profile.get(), await other.exportLog()], [[], '']);
    for (const wrong of [null, 'x', { storage: 1 }, { profiling: 'no' }, { other: false }])
      assert.equal(await codeOf(other.setConsent(wrong)), 'argument');
    other.dispose();
    assert.equal(await codeOf(other.setConsent({ storage: true })), 'disposed');
  });

  test('clearing forgets slates that wait to be seen', async () => {
    await rec.profile.clear();
    const { id } = await rec.recommend({ k: 2, hold: true });
    await rec.profile.clear();
    assert.equal(await rec.shown(id), false);
    await rec.record({ item: '50', type: 'like', slate: id });
    assert.equal((await rec.exportLog()).trim().split('\n').length, 1);
    await rec.profile.clear();
  });

  test('falls back to memory if storage is denied', async () => {
    const other = await open(TINY, { storage: 'indexeddb' });
    assert.equal(other.features().storage, 'memory');
    assert.match(other.features().storageError, /indexedDB/i);
    other.dispose();
  });
});

describe('faulty bundles in Node', () => {
  const opened = async (folder) => {
    const rec = await open(folder);
    await rec.ready;
    rec.dispose();
  };
  for (const { name, code, folder } of faultyBundles(TINY)) {
    test(`${name} is refused as ${code}`, async () => assert.equal(await codeOf(opened(folder)), code));
  }

  test('an unknown optional feature is ignored', async () =>
    assert.equal(await codeOf(opened(withOptionalFeature(TINY))), 'accepted'));

  test('a file that is no graph is refused', async () => {
    const folder = changed(TINY, () => {});
    const { createHash: hash } = await import('node:crypto');
    const { editManifest, writeFileSync } = await import('./support.mjs');
    editManifest(folder, (m) => {
      const file = m.files.find((f) => f.role === 'user_tower');
      writeFileSync(join(folder, file.path), 'no graph');
      Object.assign(file, { bytes: 8, sha256: hash('sha256').update('no graph').digest('hex') });
    });
    assert.equal(await codeOf(opened(folder)), 'model');
  });
});
