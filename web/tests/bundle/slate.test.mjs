// For any bundle and history (FORETASTE_BUNDLE, FORETASTE_HISTORY) the command, Chromium and Node give the same ids in
// the same order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { load } from '../../dist/package/index.js';
import { browser, nativeIds, serve, site, slateOf, slateScript, watchedPage } from '../support.mjs';

const { FORETASTE_BUNDLE: bundle, FORETASTE_HISTORY: history } = process.env;

test('the command, Chromium and Node agree', async () => {
  assert.ok(bundle && history, 'FORETASTE_BUNDLE and FORETASTE_HISTORY say what to test');
  const expected = nativeIds(bundle, '--history', history, '-k', 10);
  const node = await slateOf(load, pathToFileURL(`${bundle}/`), history.split(','));
  assert.deepEqual(node, { ids: expected, golden: [] });
  const [chrome, server] = [await browser(), await serve(site(bundle))];
  try {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    assert.deepEqual(await page.evaluate(slateScript(history.split(','))), node);
    assert.deepEqual(messages, []);
  } finally {
    await chrome.close();
    server.stop();
  }
});
