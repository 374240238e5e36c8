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

test('a browser gets the modules and the JSON files compressed', async () => {
  const chrome = await browser();
  try {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    const files = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name, encodedBodySize, decodedBodySize }) => ({
        name: new URL(name).pathname,
        share: encodedBodySize / decodedBodySize,
      })),
    );
    const share = (start, end) => files.find(({ name }) => name.startsWith(start) && name.endsWith(end))?.share;
    assert.ok(share('/package/wasm/core-', '.wasm') < 0.5, JSON.stringify(files));
    assert.ok(share('/bundle/catalog-', '.json') < 0.5, JSON.stringify(files));
    assert.ok(share('/bundle/manifest', '.json') < 0.5, JSON.stringify(files));
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
