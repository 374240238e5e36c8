// The recommender in a worker, and with two workers that share the search: same results, errors and progress as in the
// page.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { browser, changed, editManifest, inTwoFiles, join, serve, site, TINY, watchedPage, writeFileSync } from './support.mjs';

describe('in workers', () => {
  let chrome, server, page, messages;
  before(async () => {
    const bundle = inTwoFiles(TINY, 32);
    const folder = site(bundle);
    // Another bundle whose rows do not match their hash.
    const spoilt = changed(bundle, (copy) =>
      editManifest(copy, (m) => (m.files.find((file) => file.role === 'items').sha256 = '0'.repeat(64))),
    );
    const { cpSync } = await import('node:fs');
    cpSync(spoilt, join(folder, 'spoilt'), { recursive: true });
    // The package with shards that take their files and then fail each search.
    cpSync(join(folder, 'package'), join(folder, 'failing'), { recursive: true });
    const shard = `onmessage = ({ data: { id, do: what } }) => {
      if (id !== undefined) postMessage(what === 'seal' ? { id } : { id, error: 'unreachable' });
    };`;
    writeFileSync(join(folder, 'failing/shard.js'), shard);
    writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title>');
    [chrome, server] = [await browser(), await serve(folder)];
    ({ page, messages } = await watchedPage(chrome));
    await page.goto(`${server.address}empty.html`);
  });
  after(async () => {
    await chrome?.close();
    server?.stop();
  });

  test('one worker, two and none give the same slates, lists and golden rows', async () => {
    const seen = await page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      const seen = [];
      for (const worker of [false, true, 1, 2, 9]) {
        const rec = await load('/bundle/', { worker });
        for (const item of ['50', '18', '17']) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
        const ids = (items) => items.map((item) => [item.id, item.score, item.propensity]);
        const explore = { policy: 'epsilon-greedy', epsilon: 0.3, seed: 5, decision: 'd' };
        seen.push({
          workers: rec.features().workers,
          slate: ids((await rec.recommend({ k: 20, exclude: ['1', '59'] })).items),
          explored: ids((await rec.recommend({ k: 60, explore })).items),
          many: (await Promise.all([1, 2, 3].map((k) => rec.recommend({ k })))).map((slate) => slate.items.length),
          searched: ids(await rec.search(new Float32Array(16).fill(0.3), { k: 60 })),
          ranked: ids(await rec.rank(['3', '4', '40'])),
          similar: ids(await rec.similar('40')),
          found: ids(await rec.find('', { k: 60 })),
          golden: await rec.replayGolden(),
          arm: await rec.assign({ name: 'policy', unit: 'a', arms: { b: 1, a: 2, 0: 1 } }),
          log: (await rec.exportLog()).trim().split('\n').length,
        });
        await rec.ready;
        if (rec.features().model !== 'ready') throw new Error('the model is there and `features` does not say so');
        rec.dispose();
      }
      return seen;
    });
    assert.deepEqual(
      seen.map((one) => one.workers),
      [0, 1, 1, 2, 2],
    );
    for (const one of seen) assert.deepEqual({ ...one, workers: 0 }, seen[0]);
    assert.equal(seen[0].slate.length, 20);
    assert.equal(seen[0].explored.length, 57);
    assert.deepEqual(seen[0].golden, []);
    assert.equal(seen[0].log, 9);
  });

  test('events, progress, errors and an abort pass between page and worker', async () => {
    const seen = await page.evaluate(async () => {
      const { load, ForetasteError } = await import('/package/index.js');
      const codeOf = (promise) =>
        promise.then(
          () => 'accepted',
          (error) => (error instanceof ForetasteError ? `${error.code} ${error.part}` : error.name),
        );
      const progress = [];
      const rec = await load('/bundle/', { worker: 2, onProgress: (news) => progress.push(news) });
      const kept = await rec.record({ item: '7', type: 'like' });
      const text = await rec.profile.export();
      const gone = await rec.profile.remove(kept.id);
      await rec.profile.import(text);
      const events = await rec.profile.get();
      await rec.profile.clear();
      const codes = [
        await codeOf(rec.similar('nowhere')),
        await codeOf(rec.recommend({ k: 0 })),
        await codeOf(rec.recommend({ k: 1, shoe: () => {} })),
        await codeOf(rec.assign({ name: 'e', arms: { a: 1, b: -1 } })),
        await codeOf(rec.search(new Float32Array(3))),
        await codeOf(load('/bundle/', { worker: 2, signal: AbortSignal.abort() })),
        await codeOf(load('/spoilt/', { worker: 2 })).then((code) => code.split(' ')[0]),
        await codeOf(load('/nowhere/', { worker: true })),
      ];
      const controller = new AbortController();
      const aborted = codeOf(
        load('/bundle/', { worker: 2, cache: false, signal: controller.signal, onProgress: () => controller.abort() }),
      );
      codes.push(await aborted);
      const late = codeOf(rec.recommend());
      rec.dispose();
      codes.push(await late, await codeOf(rec.recommend()));
      const last = progress.at(-1);
      return {
        kept,
        gone,
        events,
        codes,
        first: progress[0].loaded,
        whole: last.loaded === last.total,
        after: (await load('/bundle/', { worker: 2 })).features().workers,
      };
    });
    assert.deepEqual([seen.gone, seen.events, seen.first, seen.whole, seen.after], [true, [seen.kept], 0, true, 2]);
    assert.deepEqual(seen.codes, [
      'unknown-item item',
      'range recommend.k',
      'argument recommend',
      'range experiment.arms',
      'length vector',
      'AbortError',
      'hash',
      'missing manifest.json',
      'AbortError',
      'disposed recommender',
      'disposed recommender',
    ]);
  });

  test('fields have no prototype, and a worker without its shards searches alone', async () => {
    const own = await watchedPage(chrome);
    await own.page.goto(`${server.address}empty.html`);
    const seen = await own.page.evaluate(async () => {
      const { load } = await import('/failing/index.js');
      const rec = await load('/bundle/', { worker: 2 });
      const before = rec.features().workers;
      const ids = ({ items }) => items.map(({ id }) => id);
      const [one, two] = [await rec.recommend({ k: 60 }), await rec.recommend({ k: 60 })];
      const alone = await load('/bundle/');
      return {
        workers: [before, rec.features().workers],
        expected: ids(await alone.recommend({ k: 60 })),
        lists: [ids(one), ids(two)],
        prototypes: [one.items[0], (await rec.similar('5'))[0]].map(({ fields }) => Object.getPrototypeOf(fields)),
      };
    });
    assert.deepEqual(seen.workers, [2, 1]);
    assert.deepEqual(seen.lists, [seen.expected, seen.expected]);
    assert.deepEqual(seen.prototypes, [null, null]);
    await own.page.close();
  });

  test('page and worker share the kept events', async () => {
    const items = await page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      const [one, two] = [
        await load('/bundle/', { storage: 'indexeddb', namespace: 'w', worker: true }),
        await load('/bundle/', { storage: 'indexeddb', namespace: 'w' }),
      ];
      await one.record({ item: '9', type: 'like' });
      const three = await load('/bundle/', { storage: 'indexeddb', namespace: 'w', worker: true });
      const items = (await three.profile.get()).map((event) => event.item);
      await two.profile.clear();
      [one, two, three].forEach((rec) => rec.dispose());
      return items;
    });
    assert.deepEqual(items, ['9']);
  });

  test('a page whose policy forbids workers does the work itself', async () => {
    const own = await watchedPage(chrome);
    await own.page.route('**/strict.html', (route) =>
      route.fulfill({
        contentType: 'text/html',
        headers: { 'content-security-policy': "default-src 'self' 'wasm-unsafe-eval'; worker-src 'none'" },
        body: '<!doctype html>',
      }),
    );
    await own.page.goto(`${server.address}strict.html`);
    const seen = await own.page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      const rec = await load('/bundle/', { worker: true });
      const { items } = await rec.recommend({ k: 3 });
      return { workers: rec.features().workers, items: items.length };
    });
    assert.deepEqual(seen, { workers: 0, items: 3 });
    await own.page.close();
  });

  test('the console is empty', () =>
    assert.deepEqual(
      messages.filter((line) => !/404|Failed to load resource/.test(line)),
      [],
    ));
});
