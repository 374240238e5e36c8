// A trap of a module, whatever its cause, fails one call: nothing that the visitor did is lost, and later calls work.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { codeOf, TINY, trapping } from './support.mjs';

// Instances are wrapped before the package makes one.
const traps = trapping();
const { load } = await import('../dist/package/index.js');

let visitors = 0;
/** A recommender of its own: loads with equal options would share one. */
const open = (options) => load(pathToFileURL(`${TINY}/`), { namespace: `visitor ${visitors++}`, ...options });
const collected = async () => {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await new Promise((done) => setTimeout(done, 5));
  }
};
const shown = async (rec) => (await rec.recommend({ k: 5 })).items;

describe('after a trap', () => {
  test('the tests can collect garbage', () => assert.equal(typeof globalThis.gc, 'function', 'run with --expose-gc'));

  test('of the tower one call fails, however often, and collected towers free nothing of the next instance', async () => {
    const rec = await open();
    const expected = await shown(rec);
    for (let round = 0; round < 60; round++) {
      traps.next = 'tower_run';
      assert.equal(await codeOf(rec.recommend()), 'model');
      assert.deepEqual(await shown(rec), expected);
      if (round % 6 === 0) await collected();
    }
    assert.deepEqual(await rec.replayGolden(), []);
    rec.dispose();
    assert.ok(traps.instances.tower >= 60);
  });

  test('of the core events, log and numbering go on for every recommender of the page', async () => {
    const [one, two] = [await open(), await open()];
    await one.record({ item: '9', type: 'like', time: 1000, tz_offset_min: null });
    const first = await one.recommend({ k: 2 });
    const arm = await one.assign({ name: 'e', unit: 'u', arms: { a: 1, b: 1 } });
    await two.record({ item: '7', type: 'hide', time: null });
    const seen = async () => ({
      profiles: [await one.profile.get(), await two.profile.get()],
      logs: [await one.exportLog(), await two.exportLog()],
      slates: [(await one.recommend({ vector: Array(16).fill(0.2) })).items, (await two.rank(['3', '4'])).map(({ id }) => id)],
    });
    const before = await seen();
    const logs = await one.exportLog();
    for (const name of ['core_recommend', 'core_record', 'core_rank', 'core_find', 'core_similar', 'core_search']) {
      traps.next = name;
      const calls = {
        core_recommend: () => one.recommend({ k: 2 }),
        core_record: () => one.record({ item: '1' }),
        core_rank: () => one.rank(['1']),
        core_find: () => one.find(''),
        core_similar: () => one.similar('5'),
        core_search: () => one.search(new Float32Array(16)),
      };
      assert.equal(await codeOf(calls[name]()), 'trap', name);
      await collected();
      assert.deepEqual(await one.profile.get(), before.profiles[0], name);
      assert.equal(await one.exportLog(), logs, name);
    }
    const { slates, profiles } = await seen();
    assert.deepEqual([slates, profiles], [before.slates, before.profiles]);
    assert.notEqual((await one.recommend({ k: 2 })).id, first.id, 'decisions are numbered on');
    const lines = (await one.exportLog()).trim().split('\n');
    assert.equal(await one.assign({ name: 'e', unit: 'u', arms: { a: 1, b: 1 } }), arm);
    assert.equal((await one.exportLog()).trim().split('\n').length, lines.length, 'the arm is written once');
    assert.deepEqual(await one.replayGolden(), []);
    one.dispose();
    two.dispose();
  });

  test('calls wait, in order, and loads that a trap disturbs start over', async () => {
    const rec = await open();
    traps.next = 'core_find';
    const failed = codeOf(rec.find('x'));
    const others = [1, 2, 3].map((n) => rec.record({ item: `${n}`, time: n }));
    const loads = [open(), open()];
    assert.equal(await failed, 'trap');
    await Promise.all(others);
    assert.deepEqual(
      (await rec.profile.get()).map(({ item }) => item),
      ['1', '2', '3'],
    );
    for (const other of await Promise.all(loads)) {
      assert.equal((await other.recommend({ k: 3 })).items.length, 3);
      traps.next = 'core_similar';
      assert.equal(await codeOf(other.similar('5')), 'trap');
    }
    assert.equal((await rec.recommend({ k: 3 })).items.length, 3);
    rec.dispose();
    // The others are collected without `dispose`.
    await collected();
    const last = await open();
    assert.deepEqual(await last.replayGolden(), []);
    last.dispose();
  });

  test('a trap while the bundle is opened again is reported, and the next call tries once more', async () => {
    const rec = await open();
    await rec.record({ item: '4' });
    traps.next = 'core_find';
    assert.equal(await codeOf(rec.find('')), 'trap');
    traps.next = 'core_importProfile';
    assert.equal(await codeOf(rec.find('')), 'trap');
    assert.ok((await rec.find('')).length > 0);
    assert.equal((await rec.profile.get()).length, 1);
    traps.next = 'core_open';
    assert.equal(await codeOf(open()), 'trap', 'a load that traps itself is refused');
    assert.ok((await rec.find('')).length > 0);
    rec.dispose();
  });

  test('dispose frees what is there and touches nothing else', async () => {
    const [one, two] = [await open(), await open()];
    traps.next = 'core_find';
    assert.equal(await codeOf(one.find('')), 'trap');
    one.dispose();
    const waiting = codeOf(two.find(''));
    two.dispose();
    assert.equal(await waiting, 'disposed');
    const three = await open();
    traps.next = '__wbg_core_free';
    three.dispose();
    await collected();
    const four = await open();
    assert.equal((await four.recommend({ k: 3 })).items.length, 3);
    four.dispose();
  });
});

describe('a load that is disposed of', () => {
  let server;
  /** Settles when the client has left the tower's transfer. */
  let left;
  before(async () => {
    const { createServer } = await import('node:http');
    const { readFileSync } = await import('node:fs');
    // The tower never arrives.
    server = createServer((request, response) => {
      if (/user_tower/.test(request.url)) {
        left = new Promise((done) => response.once('close', done));
        return response.writeHead(200).write('x');
      }
      response.end(readFileSync(`${TINY}/${request.url.split('/').at(-1)}`));
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
  });
  after(() => server.closeAllConnections() ?? server.close());

  test('settles `ready` and ends the fetch of the tower', async () => {
    const rec = await load(`http://127.0.0.1:${server.address().port}/`);
    assert.equal((await rec.find('')).length, 10);
    rec.dispose();
    assert.equal(await codeOf(rec.ready), 'disposed');
    await left;
  });
});
