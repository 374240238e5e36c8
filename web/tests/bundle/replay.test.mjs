// For any bundle and the data that it was made from (FORETASTE_BUNDLE, FORETASTE_DATA) a page in Chromium reads of all
// users, after each event, what the trainer reads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readingFeatures, replayed, reread, takenInPage } from '../replays.mjs';
import { browser, join, serve, site, watchedPage, writeFileSync } from '../support.mjs';

const { FORETASTE_BUNDLE: bundle, FORETASTE_DATA: data } = process.env;

test('the trainer and Chromium read the same of all users', { timeout: 3_600_000 }, async () => {
  assert.ok(bundle && data, 'FORETASTE_BUNDLE and FORETASTE_DATA say what to test');
  const { ranker, ways } = replayed(bundle, data);
  const folder = site(readingFeatures(bundle, ranker));
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  const [chrome, server] = [await browser(), await serve(folder)];
  try {
    const { page } = await watchedPage(chrome);
    const open = (storage) =>
      page.evaluate(async (storage) => {
        const { load } = await import('/package/slim.js');
        window.rec = await load('/bundle/', { storage });
      }, storage);
    await page.goto(`${server.address}empty.html`);
    await open('memory');
    const { moments, values, differences } = await takenInPage(page, ways);
    console.log(`${ways.length} visitors: ${values} values at ${moments} moments, ${differences.length} of these differ`);
    assert.deepEqual(differences.slice(0, 3), []);
    // What is kept on the device.
    await page.reload();
    await open('indexeddb');
    const planted = ways.filter(({ visitor }) => visitor.startsWith('planted'));
    for (const way of planted) {
      assert.deepEqual((await takenInPage(page, [way])).differences, []);
      const [before, after] = await reread(page, way, async () => {
        await page.reload();
        await open('indexeddb');
      });
      assert.equal(after, before, way.visitor);
    }
  } finally {
    await chrome.close();
    server.stop();
  }
});
