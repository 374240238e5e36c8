// The package in a browser on the real web: plain http, policies, storage that hangs or is full, caches, no network.
import assert from 'node:assert/strict';
import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { hostile } from './hostile.mjs';
import {
  browser,
  changed,
  editManifest,
  inTwoFiles,
  join,
  renamedColumns,
  site,
  TINY,
  watchedPage,
  writeFileSync,
} from './support.mjs';

describe('on the real web', () => {
  let chrome, host, folder;
  before(async () => {
    folder = site(inTwoFiles(TINY, 32));
    writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
    [chrome, host] = [await browser({ args: ['--host-resolver-rules=MAP shop.test 127.0.0.1'] }), await hostile(folder)];
  });
  after(async () => {
    await chrome?.close();
    await host?.stop();
  });

  /** A page of its own context; `prepare` runs in it before any script. */
  async function opened({ address = host.address, prepare, headers = {}, context } = {}) {
    Object.assign(host, { headers, answer: () => false });
    const own = context ?? (await chrome.newContext());
    const watched = await watchedPage(own);
    if (prepare) await watched.page.addInitScript(prepare);
    await watched.page.goto(`${address}empty.html`);
    return { ...watched, context: own };
  }

  /** What a page's `load` ends with: the error, or the features and a slate. */
  const visit = (page, options = {}, url = '/bundle/', script = '/package/index.js') =>
    page.evaluate(
      async ([options, url, script]) => {
        const { load } = await import(script);
        const since = performance.now();
        try {
          const rec = await load(url, options);
          await rec.record({ item: '3', type: 'like' });
          const { items } = await rec.recommend({ k: 3 });
          const [{ fields }] = await rec.similar('4', { k: 1 });
          const seen = { ...rec.features(), items: items.length, golden: await rec.replayGolden(), fields: Object.keys(fields) };
          // Gives the cache time to write.
          await new Promise((resolve) => setTimeout(resolve, 500));
          rec.dispose();
          return { ...seen, error: rec.features().storageError, ms: performance.now() - since };
        } catch ({ name, code, part, message }) {
          return { name, code, part, message, ms: performance.now() - since };
        }
      },
      [options, url, script],
    );

  test('plain http beyond localhost: no secure context, and all works', async () => {
    const address = `http://shop.test:${host.port}/`;
    for (const worker of [false, true, 2]) {
      const { page, messages, context } = await opened({ address });
      assert.equal(
        await page.evaluate(() => [isSecureContext, typeof caches, typeof crypto.subtle].join()),
        'false,undefined,undefined',
      );
      const seen = await visit(page, { worker, storage: 'indexeddb' });
      assert.deepEqual([seen.items, seen.golden, seen.storage, seen.cacheError], [3, [], 'indexeddb', undefined], seen.message);
      assert.equal(seen.workers, Number(worker));
      assert.deepEqual(messages, []);
      await context.close();
    }
  });

  test('every request is for a file of the manifest or of the package', async () => {
    const { files } = JSON.parse(readFileSync(join(folder, 'bundle/manifest.json'), 'utf8'));
    const paths = ['manifest.json', ...files.map(({ path }) => path)].map((path) => `/bundle/${path}`);
    const own = /^\/package\/(index|worker|shard)\.js$|^\/package\/wasm\/(core-\w+|tower)\.wasm$/;
    for (const worker of [false, 2]) {
      const { page, context } = await opened();
      host.asked = [];
      const seen = await visit(page, { worker, storage: 'indexeddb' });
      assert.equal(seen.items, 3, seen.message);
      const others = host.asked.filter((path) => !paths.includes(path) && !own.test(path));
      assert.deepEqual(others, []);
      assert.ok(host.asked.length > 6);
      await context.close();
    }
  });

  test('what the policy of a page forbids is `blocked`, and redirects are `redirect`', async () => {
    const policies = [
      ["default-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'none'", /forbids this request \(connect-src\)/],
      ["default-src 'self' 'unsafe-inline'", /'wasm-unsafe-eval'/],
    ];
    for (const [policy, message] of policies) {
      const { page, context } = await opened({ headers: { 'content-security-policy': policy } });
      const seen = await visit(page);
      assert.deepEqual([seen.code, message.test(seen.message)], ['blocked', true], JSON.stringify(seen));
      await context.close();
    }
    const { page, context } = await opened();
    host.answer = (path, response) =>
      path.startsWith('/bundle/') && response.writeHead(301, { location: path.replace('bundle', 'moved') }).end();
    for (const worker of [false, true]) {
      const seen = await visit(page, { worker });
      assert.deepEqual([seen.code, seen.part], ['redirect', 'manifest.json']);
      assert.ok(seen.message.startsWith(`${host.address}bundle/manifest.json: `));
    }
    await context.close();
  });

  test('a host that is busy or cuts connections, and one that gives modules wrong types', async () => {
    for (const worker of [false, true]) {
      const { page, context } = await opened();
      const twice = {};
      const { files } = JSON.parse(readFileSync(join(folder, 'bundle/manifest.json'), 'utf8'));
      const items = files.find(({ role }) => role === 'items').path;
      host.answer = (path, response) => {
        if (path.endsWith('.wasm')) response.setHeader('content-type', 'application/wasm; charset=utf-8');
        twice[path] = (twice[path] ?? 0) + 1;
        if (path === `/bundle/${items}` && twice[path] <= 2) return response.writeHead(503).end();
        return /core-\w+\.wasm|user_tower/.test(path) && twice[path] === 1 && host.cut(path, response);
      };
      const seen = await visit(page, { worker });
      assert.deepEqual([seen.items, seen.workers], [3, Number(worker)], seen.message);
      assert.deepEqual([twice[`/bundle/${items}`], twice['/bundle/manifest.json']], [3, 1]);
      await context.close();
    }
  });

  test('aborts and timeouts keep their reason', async () => {
    const { page, context } = await opened();
    host.answer = (path) => path.includes('/bundle/items');
    const seen = await page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      const fault = (signal, worker) => load('/bundle/', { signal, worker }).catch((error) => error.name ?? error);
      const seen = [];
      for (const worker of [false, true]) {
        seen.push(await fault(AbortSignal.timeout(300), worker));
        const control = new AbortController();
        setTimeout(() => control.abort('mine'), 300);
        seen.push(await fault(control.signal, worker));
      }
      return seen;
    });
    assert.deepEqual(seen, ['TimeoutError', 'mine', 'TimeoutError', 'mine']);
    await context.close();
  });

  test('storage that never answers is done without', async () => {
    const never = {
      'indexedDB.open': () => (IDBFactory.prototype.open = () => ({})),
      'caches.open': () => (CacheStorage.prototype.open = () => new Promise(() => {})),
      'caches.match': () => (Cache.prototype.match = () => new Promise(() => {})),
      'caches.put': () => (Cache.prototype.put = () => new Promise(() => {})),
    };
    for (const [name, prepare] of Object.entries(never)) {
      const { page, messages, context } = await opened({ prepare });
      const seen = await visit(page, { storage: 'indexeddb' });
      assert.deepEqual([seen.items, seen.golden], [3, []], `${name} ${seen.message}`);
      assert.ok(seen.ms < 9000, `${name} ${seen.ms}`);
      if (name === 'indexedDB.open') assert.match(seen.storageError, /IndexedDB does not answer/);
      else if (name !== 'caches.put') assert.match(seen.cacheError, /Cache Storage does not answer/);
      assert.deepEqual(messages, []);
      await context.close();
    }
  });

  test('a full disk is said, and fails nothing', async () => {
    const { page, messages, context } = await opened();
    const session = await context.newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(host.address).origin, quotaSize: 1 });
    const seen = await page.evaluate(async () => {
      const { load } = await import('/package/index.js');
      const rec = await load('/bundle/', { storage: 'indexeddb' });
      for (let i = 0; i < 20; i++) await rec.record({ item: String(i + 1), type: 'like' });
      const { items } = await rec.recommend({ k: 3 });
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { storageError, cacheError } = rec.features();
      const events = (await rec.profile.get()).length;
      rec.dispose();
      return { storageError, cacheError, items: items.length, events };
    });
    assert.deepEqual([seen.items, seen.events], [3, 20]);
    assert.match(seen.cacheError, /Quota/);
    assert.match(seen.storageError ?? 'none', /Quota/);
    assert.deepEqual(messages, []);
    await context.close();
  });

  test('a manifest that the browser keeps for ten minutes is asked for again after a deploy', async () => {
    const next = changed(renamedColumns(TINY, { category: 'section' }), (copy) =>
      editManifest(copy, (manifest) => {
        for (const file of manifest.files) {
          renameSync(join(copy, file.path), join(copy, `new-${file.path}`));
          file.path = `new-${file.path}`;
        }
      }),
    );
    const { page, context } = await opened({ headers: { 'cache-control': 'max-age=600' } });
    host.headers = {};
    host.answer = (path, response) => {
      if (path.endsWith('manifest.json')) response.setHeader('cache-control', 'max-age=600');
      return false;
    };
    assert.ok((await visit(page, { cache: false })).fields.includes('category'));
    const old = `${folder}-old`;
    renameSync(join(folder, 'bundle'), old);
    cpSync(next, join(folder, 'bundle'), { recursive: true });
    host.asked = [];
    const seen = await visit(page, { cache: false });
    assert.ok(seen.fields?.includes('section'), JSON.stringify(seen));
    assert.equal(host.count('manifest.json'), 1, 'the first was the kept one');
    rmSync(join(folder, 'bundle'), { recursive: true });
    renameSync(old, join(folder, 'bundle'));
    await context.close();
  });

  /** Names of what Cache Storage has. */
  const kept = (page) =>
    page.evaluate(async () =>
      (await caches.has('foretaste'))
        ? (await (await caches.open('foretaste')).keys()).map(({ url }) => new URL(url).pathname)
        : [],
    );

  test('the second visit works with the host gone; with `cache: false` nothing is kept', async () => {
    for (const worker of [false, true]) {
      // The page has a host of its own; bundle and package come from one that goes.
      const gone = await hostile(folder);
      const { page, context, messages } = await opened();
      const at = (path) => `${gone.address}${path}`;
      const wasm = { core: at('package/wasm/core-simd128.wasm'), tower: at('package/wasm/tower.wasm') };
      const without = await visit(page, { worker, wasm, cache: false }, at('bundle/'));
      assert.deepEqual([without.items, await kept(page)], [3, []], without.message);
      await page.reload();
      const first = await visit(page, { worker, wasm }, at('bundle/'));
      assert.deepEqual([first.items, first.offline], [3, undefined], first.message);
      await page.waitForFunction(async () => (await (await caches.open('foretaste')).keys()).length === 7);
      const names = await kept(page);
      assert.equal(names.filter((name) => /manifest|items|catalog|user_tower/.test(name)).length, 5, String(names));
      const modules = gone.count('.wasm');
      await gone.stop();
      await page.reload();
      const second = await page.evaluate(
        async ([url, options]) => {
          const { load } = await import('/package/index.js');
          const since = performance.now();
          const rec = await load(url, options);
          const { items } = await rec.recommend({ k: 3 });
          const { offline, workers } = rec.features();
          rec.dispose();
          return { items: items.length, offline, workers, ms: performance.now() - since };
        },
        [at('bundle/'), { worker, wasm }],
      );
      assert.deepEqual([second.items, second.offline, second.workers], [3, true, Number(worker)]);
      assert.ok(second.ms < 5000, `${second.ms}`);
      const strict = await visit(page, { worker, wasm, cache: false }, at('bundle/'));
      assert.equal(strict.code, 'network');
      // A host that answers, even badly, is believed.
      const back = await hostile(folder, { port: gone.port });
      back.answer = (path, response) => path.includes('manifest') && response.writeHead(404).end();
      assert.equal((await visit(page, { worker, wasm }, at('bundle/'))).code, 'missing');
      await back.stop();
      assert.ok(modules <= 4, `${modules} requests for modules in two visits`);
      assert.deepEqual(
        messages.filter((line) => !/ERR_CONNECTION|404/.test(line)),
        [],
      );
      await context.close();
    }
  });

  test('a host that is silent: the kept bundle is used, and without one the visit waits', async () => {
    const silent = await hostile(folder);
    const { page, context } = await opened();
    const at = (path) => `${silent.address}${path}`;
    const options = { wasm: { core: at('package/wasm/core-simd128.wasm'), tower: at('package/wasm/tower.wasm') } };
    const quiet = (path) => /manifest|\.wasm/.test(path);
    let late;
    silent.answer = (path, response) => {
      if (!path.includes('manifest')) return false;
      late = setTimeout(() => {
        silent.answer = () => false;
        response.end(readFileSync(join(folder, path)));
      }, 6000);
      return true;
    };
    const first = await visit(page, options, at('bundle/'));
    assert.deepEqual([first.items, first.offline], [3, undefined], first.message);
    assert.ok(late);
    await page.waitForFunction(async () => (await (await caches.open('foretaste')).keys()).length === 7);
    await page.reload();
    silent.asked.length = 0;
    silent.answer = quiet;
    const second = await page.evaluate(
      async ([url, options]) => {
        const { load } = await import('/package/index.js');
        const rec = await load(url, options);
        const { items } = await rec.recommend({ k: 3 });
        return { items: items.length, offline: rec.features().offline };
      },
      [at('bundle/'), options],
    );
    assert.deepEqual([second, silent.count('manifest')], [{ items: 3, offline: true }, 1]);
    await silent.stop();
    await context.close();
  });

  test('a whole page from the HTTP cache, and a missing file is no reason for the kept manifest', async () => {
    const own = await hostile(folder);
    own.headers = { 'cache-control': 'max-age=3600' };
    const context = await chrome.newContext();
    const page = await context.newPage();
    await page.goto(`${own.address}empty.html`);
    assert.equal((await visit(page)).items, 3);
    await page.waitForFunction(async () => (await (await caches.open('foretaste')).keys()).length === 7);
    // Without one of its files the kept bundle is not whole.
    await own.stop();
    await page.goto('about:blank');
    await page.goto(`${own.address}empty.html`);
    const seen = await visit(page);
    assert.equal(seen.items ?? seen.message, 3);
    await context.close();
  });
});
