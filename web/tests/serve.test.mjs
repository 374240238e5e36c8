// `foretaste serve`: content types, caching, ranges, compression, and which requests it refuses.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { browser, ready, serve, site, TINY, watchedPage } from './support.mjs';

let server;
before(async () => {
  server = await serve(site(TINY));
});
after(() => server?.stop());

/** Status, headers and length of a response. `path` is sent without normalising it. */
function ask(path, headers = {}) {
  const { hostname, port } = new URL(server.address);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, headers }, (response) => {
      let length = 0;
      response.on('data', (chunk) => (length += chunk.length));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, length }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('types and caching', async () => {
  const rows = readdirSync(TINY).find((name) => name.startsWith('items-'));
  for (const [path, type, cache] of [
    ['/', 'text/html', 'no-cache'],
    ['/package/wasm/core-simd128.wasm', 'application/wasm', 'no-cache'],
    ['/package/index.js', 'text/javascript', 'no-cache'],
    ['/bundle/manifest.json', 'application/json', 'no-cache'],
    [`/bundle/${rows}`, 'application/octet-stream', 'public, max-age=31536000, immutable'],
  ]) {
    const { status, headers } = await ask(path);
    assert.equal(status, 200, path);
    assert.ok(headers['content-type'].startsWith(type), `${path}: ${headers['content-type']}`);
    assert.equal(headers['cache-control'], cache, path);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.match(headers['content-security-policy'], /'wasm-unsafe-eval'/);
  }
});

test('ranges', async () => {
  const { status, length, headers } = await ask('/bundle/manifest.json', { range: 'bytes=0-9' });
  assert.deepEqual([status, length], [206, 10]);
  assert.match(headers['content-range'], /^bytes 0-9\//);
});

test('a browser gets modules, catalogs and texts compressed, and reads their bytes', async () => {
  const chrome = await browser();
  try {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    const catalog = readdirSync(TINY).find((name) => name.startsWith('catalog-'));
    for (const path of ['package/wasm/core-simd128.wasm', 'package/index.js', `bundle/${catalog}`, 'bundle/manifest.json']) {
      // The page's own requests may come from a worker, whose entries the page does not see.
      const { bytes, entry } = await page.evaluate(async (path) => {
        const response = await fetch(`./${path}?again`);
        const { byteLength: bytes } = await response.arrayBuffer();
        // The entry is made a moment after the last byte.
        const entries = () => performance.getEntriesByName(response.url);
        while (entries().length === 0) await new Promise((done) => setTimeout(done, 5));
        return { bytes, entry: entries()[0].toJSON() };
      }, path);
      assert.equal(entry.decodedBodySize, bytes, path);
      assert.ok(entry.encodedBodySize < bytes / 2, `${path}: ${entry.encodedBodySize} of ${bytes} bytes`);
    }
    assert.deepEqual(messages, []);
  } finally {
    await chrome.close();
  }
});

test('refuses paths outside the folder and other hosts', async () => {
  assert.equal((await ask('/nowhere')).status, 404);
  assert.equal((await ask('/../../etc/passwd')).status, 404);
  assert.equal((await ask('/%2e%2e/%2e%2e/etc/passwd')).status, 404);
  assert.equal((await ask('/', { host: 'example.com' })).status, 421);
  assert.equal((await ask('/', { host: `localhost:${new URL(server.address).port}` })).status, 200);
});
