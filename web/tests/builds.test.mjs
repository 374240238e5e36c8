// Which build of the core a browser loads, which files stay on the device, and what happens when a kept file is
// damaged.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { browser, serve, site, TINY, watchedPage } from './support.mjs';

describe('builds and kept files', () => {
  let chrome, server, context;
  before(async () => {
    [chrome, server] = [await browser(), await serve(site(TINY))];
    context = await chrome.newContext();
  });
  after(async () => {
    await chrome?.close();
    server?.stop();
  });

  /** Opens a page of the site; `paths` gives the paths that it has requested. */
  async function open() {
    const { page, requests } = await watchedPage({ newPage: () => context.newPage() });
    await page.goto(`${server.address}package/index.js`);
    return { page, paths: () => requests.map((url) => new URL(url).pathname) };
  }
  const slate = (page, options = {}) =>
    page.evaluate(async (options) => {
      const { load } = await import('/package/index.js');
      const rec = await load('/bundle/', options);
      for (const item of ['50', '18']) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
      const { items } = await rec.recommend({ k: 10 });
      const golden = await rec.replayGolden();
      rec.dispose();
      return { ids: items.map((item) => item.id), golden };
    }, options);

  test('every build of the core recommends the same, and replays the golden rows', async () => {
    const lists = [];
    for (const name of ['baseline', 'simd128', 'relaxed']) {
      // A page loads the core once, so each build needs a page of its own.
      const own = await open();
      const { ids, golden } = await slate(own.page, { wasm: { core: `/package/wasm/core-${name}.wasm` } });
      assert.deepEqual(golden, [], name);
      assert.ok(own.paths().includes(`/package/wasm/core-${name}.wasm`));
      lists.push(ids);
      await own.page.close();
    }
    assert.deepEqual([lists[1], lists[2]], [lists[0], lists[0]]);
    assert.equal(lists[0].length, 10);
  });

  test('loads the fastest build that the browser can run', async () => {
    const { page, paths } = await open();
    await slate(page);
    assert.ok(paths().includes('/package/wasm/core-relaxed.wasm'), `this Chromium has relaxed SIMD: ${paths()}`);
    await page.close();
  });

  const kept = (path) => /items-|catalog-|\.onnx$/.test(path);

  test('a second visit reads the files of the bundle from the device', async () => {
    const again = await open();
    const { ids } = await slate(again.page);
    assert.equal(ids.length, 10);
    assert.deepEqual(again.paths().filter(kept), []);
    const without = await open();
    assert.deepEqual((await slate(without.page, { cache: false })).ids, ids);
    assert.equal(without.paths().filter(kept).length, 3);
    await Promise.all([again.page.close(), without.page.close()]);
  });

  test('a file that is damaged on the device is fetched from the host again', async () => {
    const damaged = await open();
    const damage = async () => {
      const cache = await caches.open('foretaste');
      const keys = (await cache.keys()).filter((request) => request.url.includes('items-'));
      for (const key of keys) await cache.put(key, new Response(new Uint8Array(9)));
      return keys.length;
    };
    assert.equal(await damaged.page.evaluate(damage), 1);
    assert.equal((await slate(damaged.page)).ids.length, 10);
    assert.equal(damaged.paths().filter(kept).length, 1);
    await damaged.page.close();
  });

  test('files of an older bundle are deleted from the device', async () => {
    const { page } = await open();
    const left = await page.evaluate(async () => {
      const cache = await caches.open('foretaste');
      await cache.put('/bundle/items-old.safetensors?sha256=0', new Response('old'));
      await cache.put('/elsewhere/items.safetensors?sha256=0', new Response('of another bundle'));
      await cache.put('/bundle/inner/items.safetensors?sha256=0', new Response('of a bundle inside the folder'));
      const { load } = await import('/package/index.js');
      const rec = await load('/bundle/');
      await rec.ready;
      rec.dispose();
      const names = async () => (await cache.keys()).map((request) => new URL(request.url).pathname);
      for (let i = 0; i < 100 && (await names()).includes('/bundle/items-old.safetensors'); i++)
        await new Promise((done) => setTimeout(done, 20));
      return names();
    });
    assert.ok(!left.includes('/bundle/items-old.safetensors'), String(left));
    assert.ok(left.includes('/elsewhere/items.safetensors') && left.includes('/bundle/inner/items.safetensors'));
    assert.equal(left.filter(kept).length, 3);
    await page.close();
  });
});
