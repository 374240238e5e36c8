// `load` and the calls of a recommender: one bundle for equal loads, signals, slates that wait to be seen.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { load } from '../dist/package/index.js';
import * as inline from '../dist/package/inline.js';
import * as slim from '../dist/package/slim.js';
import { codeOf, TINY } from './support.mjs';

const bundle = pathToFileURL(`${TINY}/`);
let visitors = 0;
/** Options that no other load has. */
const alone = (options) => ({ namespace: `visitor ${visitors++}`, ...options });
const lines = async (rec) => (await rec.exportLog()).trim().split('\n').filter(Boolean).map(JSON.parse);

describe('equal loads', () => {
  test('share one bundle and one visitor until the last is gone', async () => {
    const options = alone();
    const [one, two, other] = await Promise.all([
      load(bundle, options),
      load(bundle, { ...options, cache: true }),
      load(bundle, alone()),
    ]);
    await one.record({ item: '4' });
    assert.deepEqual([(await two.profile.get()).length, (await other.profile.get()).length], [1, 0]);
    one.dispose();
    one.dispose();
    assert.equal(await codeOf(one.find('')), 'disposed');
    assert.equal(await codeOf(one.profile.get()), 'disposed');
    assert.equal(await codeOf(one.ready), 'disposed');
    assert.equal((await two.recommend({ k: 3 })).items.length, 3);
    two.dispose();
    const again = await load(bundle, options);
    assert.equal((await again.profile.get()).length, 0, 'the last one closed the bundle');
    again.dispose();
    other.dispose();
  });

  test('are tried again after a failure, and each has its own progress and signal', async () => {
    const nowhere = new URL('nowhere/', bundle);
    assert.deepEqual([await codeOf(load(nowhere)), await codeOf(load(nowhere))], ['missing', 'missing']);
    const options = alone();
    const seen = [];
    const fault = new TypeError('mine');
    const [broken, whole] = await Promise.allSettled([
      load(bundle, {
        ...options,
        onProgress: () => {
          throw fault;
        },
      }),
      load(bundle, { ...options, onProgress: (progress) => seen.push(progress) }),
    ]);
    assert.equal(broken.reason.code, 'argument');
    assert.equal(broken.reason.cause, fault);
    await whole.value.ready;
    const { loaded, total } = seen.at(-1);
    assert.deepEqual([loaded === total, seen[0].loaded < total], [true, true]);
    whole.value.dispose();
    const reason = new Error('enough');
    const control = new AbortController();
    const both = [load(bundle, { ...alone(), signal: control.signal }), load(bundle, alone())];
    control.abort(reason);
    await assert.rejects(both[0], reason);
    (await both[1]).dispose();
  });

  test('refuse what is no option', async () => {
    await assert.rejects(load(bundle, { storge: 'indexeddb' }), {
      code: 'argument',
      part: 'options.storge',
      message: /there are .*storage/,
    });
  });

  test('end at the end of a block', async () => {
    const rec = await load(bundle, alone());
    if (!Symbol.dispose) return;
    rec[Symbol.dispose]();
    assert.equal(await codeOf(rec.info()), 'disposed');
  });
});

test('a call ends by its signal, with the reason of the signal, and logs nothing', async () => {
  const rec = await load(bundle, alone());
  const reason = new DOMException('late', 'TimeoutError');
  const calls = (signal) => [
    rec.recommend({ k: 3, signal }),
    rec.rank(['4'], { signal }),
    rec.similar('4', { signal }),
    rec.find('', { signal }),
    rec.search(new Float32Array(16), { signal }),
  ];
  for (const call of calls(AbortSignal.abort(reason))) await assert.rejects(call, reason);
  const control = new AbortController();
  const waiting = rec.recommend({ k: 3, signal: control.signal });
  control.abort(reason);
  await assert.rejects(waiting, reason);
  for (const call of calls('soon')) assert.equal(await codeOf(call), 'argument');
  for (const call of calls(new AbortController().signal)) await call;
  assert.equal((await lines(rec)).length, 1);
  rec.dispose();
});

describe('a slate that waits to be seen', () => {
  test('is logged when it was seen, with its propensities', async () => {
    const rec = await load(bundle, alone());
    const explore = { policy: 'softmax', seed: 3 };
    const slate = await rec.recommend({ k: 5, hold: true, explore });
    const unseen = await rec.recommend({ k: 5, hold: true, explore });
    assert.notEqual(slate.id, unseen.id);
    assert.deepEqual(await lines(rec), []);
    assert.deepEqual([await rec.shown(slate.id, 2), await rec.shown('another')], [true, false]);
    assert.deepEqual([await codeOf(rec.shown(3)), await codeOf(rec.shown(slate.id, 0))], ['argument', 'range']);
    const event = await rec.record({ item: slate.items[3].id, type: 'like', slate: slate.id });
    const log = await lines(rec);
    assert.deepEqual(
      log.map(({ type, slots }) => [type, slots?.length]),
      [
        ['impression', 2],
        ['impression', 4],
        ['like', undefined],
      ],
    );
    assert.deepEqual(
      log[1].slots.map(({ item, propensity }) => [item, propensity]),
      slate.items.slice(0, 4).map(({ id, propensity }) => [id, propensity]),
    );
    assert.equal(log[1].request.hold, undefined);
    await rec.shown(slate.id);
    await rec.shown(slate.id);
    await rec.shown(unseen.id, 1);
    const later = (await lines(rec)).slice(3);
    assert.deepEqual(
      later.map(({ slots, before }) => [slots.length, before]),
      [
        [5, event.id],
        [1, event.id],
      ],
    );
    // What is numbered by the log's lines meets no other slate, in this visit and in the next.
    const numbered = await rec.recommend({ k: 1 });
    assert.equal((await lines(rec)).at(-1).request.explore.decision, '4');
    assert.equal(new Set([slate.id, unseen.id, numbered.id]).size, 3);
    await rec.profile.clear();
    assert.equal(await rec.shown(unseen.id), false);
    rec.dispose();
  });

  test('draws what it would without the wait, if its decision has a name', async () => {
    const drawn = async (hold) => {
      const rec = await load(bundle, alone());
      const explore = { policy: 'thompson', seed: 1, decision: 'shop window' };
      const { id, items } = await rec.recommend({ k: 4, hold, explore });
      rec.dispose();
      return [id, items];
    };
    assert.deepEqual(await drawn(true), await drawn(false));
  });
});

describe('other entries', () => {
  test('slim is the core alone', async () => {
    const rec = await slim.load(bundle, alone());
    assert.equal(rec.features().model, 'none');
    assert.ok((await rec.similar('4')).length > 0);
    assert.equal(await codeOf(rec.recommend()), 'no-model');
    rec.dispose();
  });

  test('inline has its modules in the script', async () => {
    const [one, two] = [await inline.load(bundle, alone()), await load(bundle, alone())];
    const slates = await Promise.all([one, two].map((rec) => rec.recommend({ k: 5 })));
    assert.deepEqual(...slates.map(({ items }) => items));
    one.dispose();
    two.dispose();
  });
});
