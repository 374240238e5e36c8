// What outlasts a page on the device, in real tabs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { browser, join, serve, site, TINY, watchedPage, writeFileSync } from './support.mjs';

describe('kept on the device', () => {
  let chrome, server;
  before(async () => {
    const folder = site(TINY);
    writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title>');
    [chrome, server] = [await browser(), await serve(folder)];
  });
  after(async () => {
    await chrome?.close();
    server?.stop();
  });

  /** A tab with a recommender as `rec`. */
  async function tab(context, options = {}) {
    const { page } = await watchedPage(context);
    await page.goto(`${server.address}empty.html`);
    await reopened(page, options);
    return page;
  }

  const reopened = (page, options = {}) =>
    page.evaluate(async (options) => {
      const { load } = await import('/package/index.js');
      window.rec = await load('/bundle/', { storage: 'indexeddb', ...options });
    }, options);

  test('the visitor of an experiment: one for all tabs, workers and visits, until all is forgotten', async () => {
    const context = await chrome.newContext();
    const unit = (page) =>
      page.evaluate(async () => {
        await window.rec.assign({ name: `${Math.random()}`, arms: { a: 1, b: 1 } });
        return JSON.parse((await window.rec.exportLog()).trim().split('\n').at(-1)).unit;
      });
    const one = await tab(context);
    const [first, two, worker] = [await unit(one), await tab(context), await tab(context, { worker: true })];
    assert.deepEqual([await unit(two), await unit(worker)], [first, first]);
    await one.reload();
    await reopened(one);
    assert.equal(await unit(one), first, 'the next visit');
    assert.notEqual(await unit(await tab(context, { namespace: 'other' })), first);
    assert.notEqual(await unit(await tab(context, { storage: 'memory' })), first);
    await two.evaluate(() => window.rec.profile.clear());
    const later = await unit(one);
    assert.notEqual(later, first);
    assert.deepEqual([await unit(two), await unit(worker)], [later, later]);
    await context.close();
  });
});
