// Updating from logs: a page that has the previous bundle fetches deltas and gets the new one; a rollback restores the
// old one.
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { after, before, test } from 'node:test';
import {
  browser,
  foretaste,
  join,
  mkdirSync,
  serve,
  site,
  TINY_SETTINGS,
  temporary,
  watchedPage,
  writeFileSync,
} from './support.mjs';

let chrome, server, folder, versions, data, logs;
before(async () => {
  const work = temporary();
  const at = (name) => join(work, name);
  [versions, data] = [at('versions'), at('data')];
  foretaste('data', 'get', 'synthetic', '--users', 200, '--items', 60, '--events', 4000, '--seed', 3, '--to', data);
  foretaste('train', '--data', data, '--config', TINY_SETTINGS, '--out', at('run'), '--quiet');
  foretaste('update', versions, '--run', at('run'));
  // Visitors who view every third item of the catalog.
  mkdirSync(at('logs'));
  logs = Array.from({ length: 40 }, (_, visitor) => {
    const line = (i) => JSON.stringify({ item: String(((visitor * 7 + i * 3) % 60) + 1), type: 'view', time: 1.8e12 + i * 6e4 });
    const file = join(at('logs'), `${visitor}.jsonl`);
    writeFileSync(file, Array.from({ length: 12 }, (_, i) => `${line(i)}\n`).join(''));
    return file;
  });
  folder = site(join(versions, 'live'));
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  [chrome, server] = [await browser(), await serve(folder)];
});
after(async () => {
  await chrome?.close();
  server?.stop();
});

/** What a new page of this context recommends, and which files of the bundle it requested. */
async function visit(context) {
  const { page, messages, requests } = await watchedPage(context);
  await page.goto(`${server.address}empty.html`);
  const seen = await page.evaluate(async () => {
    const { load } = await import('/package/index.js');
    const rec = await load('/bundle/');
    for (const item of ['50', '18']) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
    const { items, model } = await rec.recommend({ k: 20 });
    const golden = await rec.replayGolden();
    // Gives the cache time to write.
    await new Promise((resolve) => setTimeout(resolve, 300));
    rec.dispose();
    return { items, model, golden };
  });
  assert.deepEqual(messages, []);
  assert.deepEqual(seen.golden, []);
  await page.close();
  return {
    seen,
    files: requests.map((url) => url.split('/bundle/')[1]).filter((path) => path && !/^(manifest|golden)[.]json/.test(path)),
  };
}

test('deltas make the same bundle as the whole files, and a rollback the old one', async () => {
  const [known, fresh] = [await chrome.newContext(), await chrome.newContext()];
  const first = await visit(known);
  assert.equal(first.files.length, 3, 'rows, catalog, user tower');

  const publish = () => cpSync(join(versions, 'live'), join(folder, 'bundle'), { recursive: true });
  const updated = JSON.parse(
    foretaste(
      'update',
      versions,
      '--data',
      data,
      '--log',
      ...logs,
      '--epochs',
      1,
      '--max-drop',
      1,
      '--max-surge',
      1,
      '--quiet',
      '--json',
    ),
  );
  assert.deepEqual([updated.version, updated.gate.passed, updated.visitors], [2, true, 40]);
  publish();
  assert.deepEqual((await visit(known)).seen, first.seen, 'the challenger is not shown');

  const { published } = JSON.parse(foretaste('promote', versions, '--json'));
  assert.ok(published.delta_bytes < 0.8 * published.bytes, JSON.stringify(published));
  publish();
  const [patched, whole] = [await visit(known), await visit(fresh)];
  assert.notEqual(patched.seen.model, first.seen.model);
  assert.deepEqual(patched.seen, whole.seen);
  assert.equal(patched.files.length, 2);
  assert.ok(
    patched.files.every((path) => path.includes('.from.')),
    String(patched.files),
  );
  assert.ok(whole.files.every((path) => !path.includes('.from.')));

  // On a device with another old file, and with invalid deltas, the page fetches the whole files.
  foretaste('rollback', versions);
  publish();
  const spoilt = await chrome.newContext();
  await visit(spoilt);
  const back = await visit(known);
  assert.deepEqual(back.seen, first.seen);
  foretaste('promote', versions, '--version', 2);
  publish();
  for (const path of patched.files) writeFileSync(join(folder, 'bundle', path), 'none');
  const repaired = await visit(spoilt);
  assert.deepEqual(repaired.seen, whole.seen);
  await Promise.all([known, fresh, spoilt].map((context) => context.close()));
});
