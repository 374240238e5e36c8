// A bundle with neighbours: they come with the tower, add to scores as the format says, and are there after a trap.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  browser,
  codeOf,
  editManifest,
  inTwoFiles,
  join,
  neighbourSums,
  serve,
  site,
  TINY,
  trapping,
  watchedPage,
  withNeighbours,
  writeFileSync,
} from './support.mjs';

// Instances are wrapped before the package makes one.
const traps = trapping();
const { load } = await import('../dist/package/index.js');
const { cpSync, readFileSync } = await import('node:fs');

const HISTORY = ['50', '18', '17', '22'];
const plain = ({ items }) => items.map(({ id, score, propensity }) => [id, score, propensity]);

let made;
before(async () => (made = await withNeighbours(inTwoFiles(TINY, 32), (folder) => load(pathToFileURL(`${folder}/`)))));

let visitors = 0;
const open = (folder = made.folder, options = {}) =>
  load(pathToFileURL(`${folder}/`), { namespace: `visitor ${visitors++}`, ...options });
const visit = async (rec) => {
  for (const item of HISTORY) await rec.record({ item, type: 'rate', value: 4, time: null, tz_offset_min: null });
};

describe('in Node', () => {
  test('scores are those of the tower and the sums of the definition', async () => {
    const [rec, alone] = [await open(), await open(TINY)];
    await Promise.all([visit(rec), visit(alone)]);
    // The newest first; a rating of 4 is in the fourth bucket of five, and `rate` is the type that was trained.
    const rows = HISTORY.toReversed().map((id) => made.ids.indexOf(id));
    const sums = neighbourSums(made.weights, made.lists, { rows, types: rows.map(() => 1), values: rows.map(() => 4) });
    const without = await alone.rank(made.ids, { neighbours: false });
    const score = Object.fromEntries(without.map(({ id, score }) => [id, Math.fround(score + sums[made.ids.indexOf(id)])]));
    assert.ok(without.filter(({ id, score: before }) => score[id] !== before).length > 5);
    for (const { id, score: got } of await rec.rank(made.ids)) assert.equal(got, score[id], id);
    const left = made.ids.filter((id) => !HISTORY.includes(id)).sort((a, b) => score[b] - score[a] || a - b);
    assert.deepEqual(
      (await rec.recommend({ k: 60 })).items.map(({ id }) => id),
      left,
    );
    assert.ok((await rec.recommend({ neighbours: false })).items.every(({ reasons }) => reasons.length === 0));
    assert.deepEqual(await rec.rank(made.ids, { neighbours: false }), without);
    const slates = [rec, alone].map((one) => one.recommend({ k: 20, neighbours: false }));
    assert.deepEqual(...(await Promise.all(slates)).map(plain));
    // Beside a vector of one's own only if the request says so.
    const vector = new Float32Array(16).fill(0.1);
    const own = async (one, request) => plain(await one.recommend({ k: 20, vector, ...request }));
    assert.deepEqual(await own(rec), await own(alone));
    assert.notDeepEqual(await own(rec, { neighbours: true }), await own(rec));
    assert.deepEqual(await rec.replayGolden(), []);
    for (const odd of [1, 'yes', [], {}]) assert.equal(await codeOf(rec.recommend({ neighbours: odd })), 'argument');
    rec.dispose();
    alone.dispose();
  });

  test('reasons are the items of the visitor that add the most', async () => {
    const rec = await open();
    const history = made.ids.filter((_, row) => row % 5 === 3);
    for (const item of history) await rec.record({ item, type: 'rate', value: 4, time: null, tz_offset_min: null });
    const rows = history.toReversed().map((id) => made.ids.indexOf(id));
    const encoded = { rows, types: rows.map(() => 1), values: rows.map(() => 4) };
    // What an event adds is the sum up to it, from the newest on, less that up to the one before.
    const sums = [0, ...rows.keys()].map((_, n) => neighbourSums(made.weights, made.lists, encoded, n));
    const { items } = await rec.recommend({ k: 60 });
    for (const { id, reasons } of items) {
      const row = made.ids.indexOf(id);
      const parts = rows.map((of, age) => ({ id: made.ids[of], part: sums[age + 1][row] - sums[age][row] }));
      const best = parts.filter(({ part }) => part > 0).sort((a, b) => b.part - a.part);
      assert.deepEqual(
        reasons,
        best.slice(0, 2).map(({ id }) => id),
        id,
      );
    }
    for (const n of [0, 1, 2]) assert.ok(items.some(({ reasons }) => reasons.length === n));
    rec.dispose();
  });

  test('without a tower there are no neighbours', async () => {
    const rec = await open(made.folder, { tower: false });
    const vector = new Float32Array(16).fill(0.1);
    assert.equal((await rec.recommend({ vector })).items.length, 10);
    assert.equal(await codeOf(rec.recommend({ vector, neighbours: true })), 'missing');
    assert.equal((await rec.similar('4')).length, 10);
    rec.dispose();
  });

  test('after a trap of the core they are there again, at any moment of the load', async () => {
    const rec = await open();
    await visit(rec);
    const expected = plain(await rec.recommend({ k: 20 }));
    for (const name of ['core_recommend', 'core_find', 'core_similar']) {
      traps.next = name;
      const calls = {
        core_recommend: () => rec.recommend(),
        core_find: () => rec.find(''),
        core_similar: () => rec.similar('4'),
      };
      assert.equal(await codeOf(calls[name]()), 'trap');
      assert.deepEqual(plain(await rec.recommend({ k: 20 })), expected, name);
    }
    traps.next = 'core_openNeighbours';
    const other = await open();
    await visit(other);
    assert.deepEqual(plain(await other.recommend({ k: 20 })), expected);
    assert.deepEqual(await other.replayGolden(), []);
    const third = await open();
    // A trap of another recommender while its neighbours arrive.
    traps.next = 'core_similar';
    assert.equal(await codeOf(rec.similar('4')), 'trap');
    await visit(third);
    assert.deepEqual(plain(await third.recommend({ k: 20 })), expected);
    assert.deepEqual(plain(await rec.recommend({ k: 20 })), expected);
    for (const one of [rec, other, third]) one.dispose();
  });
});

describe('in Chromium', () => {
  let chrome, server, page, paths;
  before(async () => {
    const folder = site(made.folder);
    const { files } = JSON.parse(readFileSync(join(made.folder, 'manifest.json'), 'utf8'));
    paths = files.filter(({ role }) => role === 'neighbours').map(({ path }) => path);
    cpSync(TINY, join(folder, 'alone'), { recursive: true });
    // A file that has its hash and is no neighbours file.
    cpSync(made.folder, join(folder, 'odd'), { recursive: true });
    const { createHash } = await import('node:crypto');
    editManifest(join(folder, 'odd'), (manifest) => {
      const entry = manifest.files.find(({ path }) => path === paths[1]);
      const bytes = readFileSync(join(folder, 'odd', paths[1]));
      // The last scale.
      bytes.fill(255, bytes.length - 4);
      writeFileSync(join(folder, 'odd', paths[1]), bytes);
      entry.sha256 = createHash('sha256').update(bytes).digest('hex');
    });
    writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title>');
    [chrome, server] = [await browser(), await serve(folder)];
    ({ page } = await watchedPage(chrome));
    await page.goto(`${server.address}empty.html`);
  });
  after(async () => {
    await chrome?.close();
    server?.stop();
  });

  test('page, worker and two workers give the slates and golden rows of Node', async () => {
    const rec = await open();
    await visit(rec);
    const requests = [
      { k: 20 },
      { k: 20, exclude: ['1', '59'], neighbours: false },
      { k: 12, caps: { category: 2 }, diversity: 0.2 },
      ...['epsilon-greedy', 'softmax', 'ucb', 'thompson'].map((policy) => ({
        k: 9,
        explore: { policy, seed: 5, decision: 'd' },
      })),
    ];
    const expected = [];
    for (const request of requests) expected.push(plain(await rec.recommend(request)));
    rec.dispose();
    const seen = await page.evaluate(
      async ({ history, requests }) => {
        const { load } = await import('/package/index.js');
        const seen = [];
        for (const worker of [false, true, 2]) {
          const progress = [];
          const rec = await load('/bundle/', { worker, onProgress: (news) => progress.push(news) });
          for (const item of history) await rec.record({ item, type: 'rate', value: 4, time: null, tz_offset_min: null });
          const slates = [];
          for (const request of requests) slates.push(await rec.recommend(request));
          const { loaded, total } = progress.at(-1);
          seen.push({ workers: rec.features().workers, slates, golden: await rec.replayGolden(), whole: loaded === total });
          rec.dispose();
        }
        return seen;
      },
      { history: HISTORY, requests },
    );
    assert.deepEqual(
      seen.map(({ workers }) => workers),
      [0, 1, 2],
    );
    for (const { slates, golden, whole } of seen) {
      assert.deepEqual([golden, whole], [[], true]);
      assert.deepEqual(slates.map(plain), expected);
    }
  });

  test('they do not delay `similar` and `find`', async () => {
    let go;
    const held = new Promise((resolve) => (go = resolve));
    await page.route('**/neighbours-25*', async (route) => {
      await held;
      await route.continue();
    });
    const seen = await page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      globalThis.rec = await load('/bundle/', { cache: false, namespace: 'held' });
      globalThis.slate = globalThis.rec.recommend();
      const settled = globalThis.slate.then(() => 'a slate');
      const lists = [await globalThis.rec.similar('4'), await globalThis.rec.find('')].map(({ length }) => length);
      const first = await Promise.race([settled, new Promise((resolve) => setTimeout(() => resolve('nothing yet'), 200))]);
      return [lists, first, globalThis.rec.features().model];
    });
    assert.deepEqual(seen, [[10, 10], 'nothing yet', 'loading']);
    go();
    assert.equal(await page.evaluate(async () => (await globalThis.slate).items.length), 10);
    await page.evaluate(() => globalThis.rec.dispose());
    await page.unroute('**/neighbours-25*');
  });

  test('a file that is missing or harmed fails as a tower does, and what needs none works', async () => {
    const fails = async (bundle, answer) => {
      if (answer) await page.route('**/neighbours-25*', answer);
      const seen = await page.evaluate(async (bundle) => {
        const { load } = await import('/package/index.js');
        const rec = await load(bundle, { cache: false, namespace: `fails ${Math.random()}` });
        const codeOf = (promise) =>
          promise.then(
            () => 'accepted',
            ({ code, part }) => `${code} ${part}`,
          );
        const vector = new Float32Array(16).fill(0.1);
        const seen = {
          recommend: await codeOf(rec.recommend()),
          ready: await codeOf(rec.ready),
          similar: (await rec.similar('4')).length,
          own: (await rec.recommend({ vector })).items.length,
          model: rec.features().model,
        };
        rec.dispose();
        return seen;
      }, bundle);
      await page.unroute('**/neighbours-25*');
      const { recommend, ready, ...rest } = seen;
      assert.deepEqual(rest, { similar: 10, own: 10, model: 'failed' });
      assert.equal(recommend, ready);
      return recommend;
    };
    const bytes = readFileSync(join(made.folder, paths[1]));
    const flipped = Buffer.from(bytes);
    flipped[flipped.length >> 1] ^= 1;
    assert.equal(await fails('/bundle/', (route) => route.fulfill({ status: 404 })), `missing ${paths[1]}`);
    assert.equal(await fails('/bundle/', (route) => route.fulfill({ body: flipped })), `hash ${paths[1]}`);
    assert.equal(await fails('/bundle/', (route) => route.fulfill({ body: bytes.subarray(1) })), `length ${paths[1]}`);
    assert.equal(await fails('/odd/'), `range ${paths[1]}/scales/24`);
  });

  test('a cache keeps them, and drops one that is harmed', async () => {
    const asked = [];
    page.on('request', (request) => /neighbours/.test(request.url()) && asked.push(request.url()));
    const slate = () =>
      page.evaluate(async () => {
        const { load } = await import('/package/index.js');
        const rec = await load('/bundle/', { namespace: `cached ${Math.random()}` });
        const slate = await rec.recommend();
        // The manifest is kept when all files are.
        const cache = await caches.open('foretaste');
        while (!(await cache.match('/bundle/manifest.json?kept'))) await new Promise((resolve) => setTimeout(resolve, 20));
        rec.dispose();
        return slate.items.map(({ id, score }) => [id, score]);
      });
    const first = await slate();
    asked.length = 0;
    assert.deepEqual(await slate(), first);
    assert.deepEqual(asked, []);
    await page.evaluate(async () => {
      const cache = await caches.open('foretaste');
      const key = (await cache.keys()).find(({ url }) => url.includes('neighbours-0.'));
      await cache.put(key, new Response('harmed'));
    });
    assert.deepEqual(await slate(), first);
    assert.equal(asked.length, 1);
  });
});
