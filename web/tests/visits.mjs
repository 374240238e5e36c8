// Visits of the bundle in tabs of Chrome, and what their pages are asked.
import assert from 'node:assert/strict';
import { browser, join, serve, site, TINY, watchedPage, writeFileSync } from './support.mjs';

/** Chrome, a host of the bundle, and tabs of its empty page. */
export async function visits() {
  const folder = site(TINY);
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  const [chrome, server] = [await browser(), await serve(folder)];
  /** A tab with a recommender in `window.rec`. Without options none is loaded. */
  async function tab(context, options) {
    const { page, messages } = await watchedPage(context);
    page.messages = messages;
    await page.goto(`${server.address}empty.html`);
    if (options) await reopened(page, options);
    return page;
  }
  /** What the site keeps on the device. */
  const kept = async (context) => {
    const page = await tab(context);
    const found = await page.evaluate(async () => ({
      databases: (await indexedDB.databases()).map(({ name }) => name),
      caches: await caches.keys(),
      other: [localStorage.length, sessionStorage.length, document.cookie],
    }));
    await page.close();
    assert.deepEqual(found.other, [0, 0, '']);
    return [found.databases, found.caches];
  };
  const stop = async () => {
    await chrome.close();
    server.stop();
  };
  return { chrome, tab, kept, stop };
}

/** Loads the bundle as `window.rec`. */
export const reopened = (page, options) =>
  page.evaluate(async (options) => {
    const { load } = await import('/package/index.js');
    window.rec = await load('/bundle/', { storage: 'indexeddb', ...options });
    await window.rec.ready;
  }, options);

export const next = async (page, options) => {
  await page.reload();
  await reopened(page, options);
};

export const allow = (page, consent) =>
  page.evaluate(
    (consent) =>
      window.rec.setConsent(consent).then(
        () => 'done',
        (error) => `${error.name} ${error.code}`,
      ),
    consent,
  );
export const like = (page, item) => page.evaluate((item) => window.rec.record({ item, type: 'like' }), item);
export const features = (page) => page.evaluate(() => window.rec.features());
export const profile = (page) => page.evaluate(async () => (await window.rec.profile.get()).map(({ item }) => item));
export const log = (page) =>
  page.evaluate(async () => {
    const lines = (await window.rec.exportLog()).split('\n').filter(Boolean);
    return lines.map((line) => JSON.parse(line));
  });
/** The log in short: the item of an event, the arm of an assignment, the number of slots of a slate. */
export const short = async (page) => (await log(page)).map(({ item, arm, slots }) => item ?? arm ?? slots.length);
export const slate = (page, request) =>
  page.evaluate(async (request) => {
    const { id, items } = await window.rec.recommend({ k: 5, time: 1e12, tz_offset_min: 0, ...request });
    return { id, items: items.map((item) => [item.id, item.score, item.propensity]) };
  }, request);
export const arm = (page) => page.evaluate(() => window.rec.assign({ name: 'e', arms: { a: 1, b: 1 } }));
/** What `kept` resolves to before consent, and with it. */
export const NOTHING = [[], []];
export const ALL = [['foretaste'], ['foretaste']];
/** Waits until a tab has heard. */
export const heard = (page, consent) =>
  page.waitForFunction((text) => JSON.stringify(window.rec.features().consent) === text, JSON.stringify(consent));
