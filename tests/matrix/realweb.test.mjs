// The real web in Firefox: plain http on a host name, busy hosts, cut connections, a deploy in mid-load, no network;
// storage that is denied, full or silent; consent; two tabs.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { hostile } from '../../web/tests/hostile.mjs';
import { changed, editManifest, join, renamedColumns, root, site, TINY, writeFileSync } from '../../web/tests/support.mjs';

let firefox, host, folder;
const launched = (preferences) =>
  puppeteer.launch({
    browser: 'firefox',
    executablePath: execFileSync(join(root, '.ci/browser'), ['firefox'], { encoding: 'utf8' }).trim(),
    extraPrefsFirefox: preferences,
  });
before(async () => {
  folder = site(TINY);
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  host = await hostile(folder);
  firefox = await launched({ 'network.dns.localDomains': 'shop.test' });
});
after(async () => {
  await firefox?.close();
  await host?.stop();
});

/** A page of its own context, at an address of the host. */
async function opened(address = host.address, { browser = firefox, context, prepare } = {}) {
  context ??= await browser.createBrowserContext();
  const page = await context.newPage();
  if (prepare) await page.evaluateOnNewDocument(prepare);
  const messages = [];
  page.on('console', (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => messages.push(`page: ${error.message}`));
  await page.goto(`${address}empty.html`);
  return { page, context, messages };
}

/** What a load ends with: the error, or the features and a slate. */
const visit = (page, options = {}, url = '/bundle/') =>
  page.evaluate(
    async (options, url) => {
      const { load } = await import('/package/index.js');
      try {
        const rec = await load(url, options);
        await rec.record({ item: '3', type: 'like' });
        const { items } = await rec.recommend({ k: 3 });
        const [{ fields }] = await rec.similar('4', { k: 1 });
        await new Promise((resolve) => setTimeout(resolve, 500));
        const features = rec.features();
        rec.dispose();
        return { ...features, items: items.length, fields: Object.keys(fields) };
      } catch ({ name, code, part, message }) {
        return { name, code, part, message };
      }
    },
    options,
    url,
  );

test('plain http beyond localhost', async () => {
  for (const worker of [false, true]) {
    const { page, context, messages } = await opened(`http://shop.test:${host.port}/`);
    assert.equal(await page.evaluate(() => isSecureContext), false);
    const seen = await visit(page, { worker, storage: 'indexeddb' });
    assert.deepEqual([seen.items, seen.workers, seen.storage], [3, Number(worker), 'indexeddb'], seen.message);
    assert.deepEqual(messages, []);
    await context.close();
  }
});

test('a busy host, cut connections, wrong types of modules, redirects and policies', async () => {
  const { page, context } = await opened();
  const times = {};
  host.answer = (path, response) => {
    if (path.endsWith('.wasm')) response.setHeader('content-type', 'application/wasm; charset=utf-8');
    times[path] = (times[path] ?? 0) + 1;
    if (path.includes('items') && times[path] <= 2) return response.writeHead(503).end();
    return /core-\w+\.wasm|user_tower/.test(path) && times[path] === 1 && host.cut(path, response);
  };
  const seen = await visit(page, { cache: false });
  assert.equal(seen.items, 3, seen.message);
  host.answer = (path, response) => path.includes('/bundle/') && response.writeHead(301, { location: '/moved/' }).end();
  assert.equal((await visit(page)).code, 'redirect');
  await context.close();
  for (const policy of [
    "connect-src 'none'; script-src 'self' 'unsafe-eval' 'unsafe-inline'",
    "script-src 'self' 'unsafe-inline'",
  ]) {
    host.answer = () => false;
    host.headers = { 'content-security-policy': policy };
    const own = await opened();
    const refused = await visit(own.page).catch((error) => ({ message: String(error) }));
    assert.equal(refused.code, 'blocked', `${policy} ${refused.message}`);
    await own.context.close();
  }
  host.headers = {};
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
  const { page, context } = await opened();
  host.answer = (path, response) => {
    if (path.endsWith('manifest.json')) response.setHeader('cache-control', 'max-age=600');
    return false;
  };
  assert.ok((await visit(page, { cache: false })).fields.includes('category'));
  const old = `${folder}-old`;
  renameSync(join(folder, 'bundle'), old);
  cpSync(next, join(folder, 'bundle'), { recursive: true });
  const seen = await visit(page, { cache: false });
  rmSync(join(folder, 'bundle'), { recursive: true });
  renameSync(old, join(folder, 'bundle'));
  assert.ok(seen.fields?.includes('section'), JSON.stringify(seen));
  await context.close();
});

test('the second visit works with the host gone', async () => {
  host.answer = () => false;
  const gone = await hostile(folder);
  const { page, context } = await opened();
  const at = (path) => `${gone.address}${path}`;
  const options = { wasm: { core: at('package/wasm/core-simd128.wasm'), tower: at('package/wasm/tower.wasm') } };
  const first = await visit(page, options, at('bundle/'));
  assert.deepEqual([first.items, first.offline], [3, undefined], first.message);
  await page.waitForFunction(async () => (await (await caches.open('foretaste')).keys()).length === 6, { timeout: 10_000 });
  await gone.stop();
  await page.reload();
  const second = await visit(page, options, at('bundle/'));
  assert.deepEqual([second.items, second.offline], [3, true], second.message);
  await context.close();
});

test('storage that is denied, full or silent is done without, and said', async () => {
  host.answer = () => false;
  /** Three likes and a slate, in the page and in a worker. */
  const likes = (page, worker) =>
    page.evaluate(async (worker) => {
      const { load } = await import('/package/index.js');
      const rec = await load('/bundle/', { storage: 'indexeddb', worker });
      for (const item of ['1', '2', '3']) await rec.record({ item, type: 'like' });
      const { items } = await rec.recommend({ k: 3 });
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { storage, storageError, cacheError } = rec.features();
      const events = (await rec.profile.get()).length;
      const withdrawn = await rec.setConsent({ storage: false }).then(
        () => 'done',
        ({ code }) => code,
      );
      rec.dispose();
      return { items: items.length, events, storage, storageError, cacheError, withdrawn };
    }, worker);
  // The visitor blocks cookies and site data.
  const strict = await launched({ 'network.cookie.cookieBehavior': 2 });
  const full = await launched({ 'dom.quotaManager.temporaryStorage.fixedLimit': 1 });
  try {
    for (const worker of [false, true]) {
      const { page, messages } = await opened(host.address, { browser: strict });
      const seen = await likes(page, worker);
      assert.deepEqual([seen.items, seen.events, seen.storage], [3, 3, 'memory']);
      assert.match(seen.storageError, /SecurityError|denied|insecure/i);
      assert.ok(messages.every((line) => /cookie|storage/i.test(line)));
    }
    const { page } = await opened(host.address, { browser: full });
    const seen = await likes(page, false);
    assert.deepEqual([seen.items, seen.events], [3, 3]);
    assert.match(seen.storageError, /Quota|No device space/);
    assert.match(seen.cacheError, /Quota|No device space/);
  } finally {
    await Promise.all([strict.close(), full.close()]);
  }
  for (const [prepare, part, error] of [
    [() => (IDBFactory.prototype.open = () => ({})), 'storageError', /IndexedDB does not answer/],
    [() => (CacheStorage.prototype.open = () => new Promise(() => {})), 'cacheError', /Cache Storage does not answer/],
  ]) {
    const { page, context, messages } = await opened(host.address, { prepare });
    const seen = await likes(page, false);
    assert.deepEqual([seen.items, seen.events, messages], [3, 3, []]);
    assert.match(seen[part], error);
    await context.close();
  }
});

/** Loads the bundle as `window.rec`. */
const reopened = (page, options = {}) =>
  page.evaluate(async (options) => {
    const { load } = await import('/package/index.js');
    window.rec = await load('/bundle/', { storage: 'indexeddb', ...options });
    await window.rec.ready;
  }, options);
const like = (page, item) => page.evaluate((item) => window.rec.record({ item, type: 'like' }), item);
const allow = (page, consent) => page.evaluate((consent) => window.rec.setConsent(consent), consent);
const profile = (page) => page.evaluate(async () => (await window.rec.profile.get()).map(({ item }) => item));
/** The number of lines in the log. */
const lines = (page) => page.evaluate(async () => (await window.rec.exportLog()).split('\n').length - 1);
/** What the device has. */
const kept = (page) =>
  page.evaluate(async () => {
    const databases = (await indexedDB.databases()).map(({ name }) => name);
    return [...databases, ...(await caches.keys()), ...Object.keys(localStorage)];
  });

test('consent: nothing before it, all with it, nothing after it, in two tabs', async () => {
  host.answer = () => false;
  for (const worker of [false, true]) {
    const { page, context, messages } = await opened();
    await reopened(page, { worker, consent: { storage: false } });
    await like(page, '1');
    await page.evaluate(() => window.rec.recommend({ k: 3 }));
    assert.deepEqual(await kept(page), []);
    await allow(page, { storage: true });
    await like(page, '2');
    await page.reload();
    await reopened(page, { worker });
    assert.deepEqual([await profile(page), await lines(page)], [['1', '2'], 3]);
    const other = await opened(host.address, { context });
    await reopened(other.page, { worker: !worker });
    await like(other.page, '3');
    await page.waitForFunction(async () => (await window.rec.profile.get()).length === 3);
    assert.deepEqual([await lines(page), await lines(other.page)], [4, 4]);
    const ids = await Promise.all(
      [page, other.page].map((page) =>
        page.evaluate(async () => {
          const slates = await Promise.all(Array.from({ length: 10 }, () => window.rec.recommend({ k: 2 })));
          return slates.map(({ id }) => id);
        }),
      ),
    );
    assert.equal(new Set(ids.flat()).size, 20);
    assert.deepEqual((await kept(page)).sort(), ['foretaste', 'foretaste']);
    await allow(page, { storage: false });
    await other.page.waitForFunction(() => window.rec.features().storage === 'memory');
    await page.waitForFunction(async () => (await indexedDB.databases()).length === 0);
    assert.deepEqual([await kept(page), await profile(page), await profile(other.page)], [[], ['1', '2', '3'], ['1', '2', '3']]);
    await page.reload();
    await reopened(page, { worker });
    assert.deepEqual([await profile(page), await lines(page)], [[], 0]);
    assert.deepEqual([...messages, ...other.messages], []);
    await context.close();
  }
});

test('what is taken back as the page goes away is erased, at ten moments', async () => {
  host.answer = () => false;
  for (const worker of [false, true]) {
    const { page, context } = await opened();
    for (let run = 0; run < 10; run++) {
      await reopened(page, { worker });
      await like(page, '1');
      await page.evaluate(() => window.rec.recommend({ k: 3 }));
      const gone = page.waitForNavigation();
      await page
        .evaluate(
          (clears, wait) => {
            void (clears ? window.rec.profile.clear() : window.rec.setConsent({ storage: false })).catch(() => {});
            if (wait === 0) location.reload();
            else setTimeout(() => location.reload(), wait);
          },
          run % 2 === 1,
          run < 4 ? 0 : Math.random() * 20,
        )
        .catch(() => {});
      await gone;
      await reopened(page, { worker, consent: { storage: false } });
      if (run % 2 === 0) assert.deepEqual(await kept(page), [], `run ${run}`);
      await page.reload();
      await reopened(page, { worker });
      assert.deepEqual([await profile(page), await lines(page)], [[], 0], `run ${run}`);
      await page.reload();
    }
    await context.close();
  }
});
