// The real web in Firefox: plain http on a host name, busy hosts, cut connections, a deploy in mid-load, no network.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { hostile } from '../../web/tests/hostile.mjs';
import { changed, editManifest, join, renamedColumns, root, site, TINY, writeFileSync } from '../../web/tests/support.mjs';

let firefox, host, folder;
before(async () => {
  folder = site(TINY);
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  host = await hostile(folder);
  firefox = await puppeteer.launch({
    browser: 'firefox',
    executablePath: execFileSync(join(root, '.ci/browser'), ['firefox'], { encoding: 'utf8' }).trim(),
    extraPrefsFirefox: { 'network.dns.localDomains': 'shop.test' },
  });
});
after(async () => {
  await firefox?.close();
  await host?.stop();
});

/** A page of its own context, at an address of the host. */
async function opened(address = host.address) {
  const context = await firefox.createBrowserContext();
  const page = await context.newPage();
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
