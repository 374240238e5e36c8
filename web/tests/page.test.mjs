// From data to a page: generate or convert data, train, export, serve. Chromium picks items and must show the native
// slate.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { load } from '../dist/package/index.js';
import { writeProducts } from './products.mjs';
import {
  browser,
  bundleOf,
  faultyBundles,
  foretaste,
  join,
  nativeIds,
  ready,
  root,
  serve,
  site,
  slateOf,
  slateScript,
  TINY,
  temporary,
  watchedPage,
} from './support.mjs';

let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

const shown = (page) => page.$$eval('#items > li', (cards) => cards.map((card) => card.dataset.id));

/** Waits until the page shows another slate than `slate`. */
const renewed = (page, slate) => page.waitForFunction((old) => document.querySelector('#slate').dataset.slate !== old, slate);
const slateId = (page) => page.getAttribute('#slate', 'data-slate');

/** Does something that draws a slate and waits until the page shows it. */
async function renewing(page, act) {
  const before = await slateId(page);
  await act();
  await renewed(page, before);
}

/** Likes the first item of the slate and waits until the page shows as many picks. */
async function likeFirst(page, picks) {
  await page.waitForSelector('#items > li');
  await renewing(page, () => page.click('#items > li:first-child > .answer .icon'));
  await page.waitForFunction((picks) => document.querySelectorAll('#picks li').length === picks, picks);
}

/** Waits until the page has drawn what it was told to. */
const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));

/** Searches for a text and presses a button of the first result that is not picked. */
async function pick(page, text, button) {
  await page.fill('#search', text);
  await page.waitForFunction((text) => document.querySelector('#found').dataset.text === text, text);
  await renewing(page, () => page.click(`#found > li:not(:has([aria-pressed="true"])) ${button}`));
}

/** Saves the log with the page's button. Returns the path of the file. */
async function savedLog(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#log')]);
  const path = join(temporary(), 'log.jsonl');
  await download.saveAs(path);
  return path;
}

/** Tests a bundle served with the page: after some picks the page, Node and the command must show the same list. */
function testPage(name, makeBundle, picks) {
  describe(name, () => {
    let bundle, server, folder;
    before(async () => {
      bundle = makeBundle();
      folder = site(bundle);
      server = await serve(folder);
    });
    after(() => server?.stop());

    test('picks give the list of the native command, and the console stays empty', async () => {
      const { page, messages, requests } = await watchedPage(chrome);
      await page.goto(server.address);
      await ready(page);
      assert.equal((await shown(page)).length, 10, 'a new visitor gets a list');
      for (const [text, button] of picks) await pick(page, text, button);
      const list = await shown(page);
      const log = await savedLog(page);
      assert.deepEqual(list, nativeIds(bundle, '--events', log, '-k', 10));

      const events = readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .filter((line) => line.type !== 'impression');
      const node = await load(pathToFileURL(`${bundle}/`));
      await node.profile.import(events);
      assert.deepEqual(
        (await node.recommend({ k: 10 })).items.map((item) => item.id),
        list,
        'Node',
      );
      node.dispose();

      assert.deepEqual(messages, []);
      assert.deepEqual(
        requests.filter((url) => !url.startsWith(server.address) && !url.startsWith('blob:') && !url.startsWith('data:')),
        [],
      );
      await page.close();
    });

    test('events without times: command, Chromium and Node give the same ids', async () => {
      const { page, messages } = await watchedPage(chrome);
      await page.goto(server.address);
      await ready(page);
      const ids = (await shown(page)).slice(0, 3);
      const inPage = await page.evaluate(slateScript(ids));
      const inNode = await slateOf(load, pathToFileURL(`${bundle}/`), ids);
      assert.deepEqual(inPage, inNode);
      assert.deepEqual(inPage.golden, []);
      assert.deepEqual(inPage.ids, nativeIds(bundle, '--history', ids.join(','), '-k', 10));
      assert.deepEqual(messages, []);
      await page.close();
    });
  });
}

testPage(
  'films, generated',
  () => bundleOf((data) => foretaste('data', 'get', 'synthetic', '--users', 200, '--items', 80, '--events', 5000, '--to', data)),
  [
    ['the', '.stars button:nth-child(5)'],
    ['a', '.icon'],
    ['o', '.stars button:nth-child(1)'],
  ],
);
testPage('products, no ratings, no columns', () => bundleOf((data) => writeProducts(root, data)), [
  ['the', '.icon'],
  ['a', '.icon'],
]);

describe('the page', () => {
  let server;
  before(async () => {
    server = await serve(site(TINY));
  });
  after(() => server?.stop());

  test('shows propensities, redraws, lists similar items, removes a pick, starts over', async () => {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    const fresh = await shown(page);
    await renewing(page, () => page.locator('#epsilon').fill('60'));
    const measures = await page.$$eval('#items .measures', (all) => all.map((m) => m.textContent));
    assert.ok(
      measures.every((text) => /propensity [\d.]+ %/.test(text)),
      measures[0],
    );
    assert.ok(measures.some((text) => text.includes('explored')) && measures.some((text) => !text.includes('explored')));
    await renewing(page, () => page.click('#redraw'));
    for (const [way, name] of [
      ['1', 'softmax'],
      ['2', 'ucb'],
      ['3', 'thompson'],
    ]) {
      await renewing(page, () => page.selectOption('#policy', way));
      const last = readFileSync(await savedLog(page), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
        .at(-1);
      assert.deepEqual([last.policy, last.slots.map((slot) => slot.item)], [name, await shown(page)]);
    }
    await renewing(page, () => page.locator('#epsilon').fill('0'));
    assert.deepEqual(await shown(page), fresh);

    await page.click('#items > li:first-child .measures button');
    await page.waitForSelector('#items > li:first-child .similar li');
    assert.equal(await page.locator('#items > li:first-child .similar li').count(), 5);

    await renewing(page, () => page.locator('#items > li:first-child > .answer .icon').click());
    const picked = await shown(page);
    assert.ok(!picked.includes(fresh[0]));
    await renewing(page, () => page.locator('#picks .icon').click());
    assert.deepEqual(await shown(page), fresh, 'a removed pick leaves no trace');
    await renewing(page, () => page.locator('#items > li:nth-child(2) > .answer .icon').click());
    await renewing(page, () => page.click('#reset'));
    assert.equal(await page.locator('#picks li').count(), 0);
    assert.deepEqual(await shown(page), fresh);
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('works by keyboard, fits a phone, and labels every control', async () => {
    const { page, messages } = await watchedPage(chrome, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    await page.goto(server.address);
    await ready(page);
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'search');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#picks li');
    assert.match(await page.textContent('#said'), /^10 recommendations, first: ./);
    await page.locator('#items > li:nth-child(3) > .answer .icon').focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('#picks li').length === 2);
    assert.equal(
      await page.evaluate(() => document.activeElement.closest('#items > li')?.querySelector('.rank').textContent),
      '3',
      'the focus keeps its place',
    );
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'nothing runs off the side');
    const nameless = await page.$$eval(
      'button, input',
      (all) => all.filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length,
    );
    assert.equal(nameless, 0);
    const colours = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const dark = await colours();
    await page.emulateMedia({ colorScheme: 'light' });
    assert.notEqual(dark, await colours());
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('moves nothing while it loads, also with kept picks, and nothing runs off the side', async () => {
    for (const [width, height] of [
      [320, 640],
      [412, 823],
      [768, 1024],
      [820, 1180],
      [900, 900],
      [1350, 940],
    ]) {
      const { page, messages } = await watchedPage(chrome, { viewport: { width, height } });
      await page.addInitScript(() => {
        window.shift = 0;
        const add = (list) => list.getEntries().forEach((entry) => (window.shift += entry.hadRecentInput ? 0 : entry.value));
        new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });
      });
      for (const visit of ['a new visitor', 'with kept picks']) {
        await page.goto(server.address);
        await ready(page);
        await page.waitForSelector('#items > li');
        await settled(page);
        const shift = await page.evaluate(() => window.shift);
        assert.ok(shift < 0.02, `${width} x ${height}, ${visit}: a layout shift of ${shift}`);
        if (visit === 'with kept picks') break;
        for (const picks of [1, 2, 3, 4]) await likeFirst(page, picks);
      }
      for (const policy of ['0', '1', '2', '3']) {
        const before = await slateId(page);
        await page.selectOption('#policy', policy);
        await page.locator('#epsilon').fill(policy === '0' ? '60' : '95');
        await renewed(page, before);
        await settled(page);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.equal(over, 0, `${width} x ${height}, policy ${policy}: pixels over the side`);
      }
      assert.deepEqual(messages, []);
      await page.close();
    }
  });

  test('a like is one event however often it is given, and a rating takes its place', async () => {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    await page.waitForSelector('#items > li');
    const events = async () => {
      const lines = readFileSync(await savedLog(page), 'utf8')
        .trim()
        .split('\n');
      return lines.map((line) => JSON.parse(line)).filter((line) => line.type !== 'impression');
    };
    const first = '#found > li:first-child';
    assert.equal(await page.getAttribute(`${first} .icon`, 'aria-pressed'), 'false');
    await page.dblclick(`${first} .icon`);
    await page.waitForSelector('#picks li');
    await page.click(`${first} .icon`);
    await page.waitForFunction(() => /is among your picks already$/.test(document.querySelector('#said').textContent));
    assert.equal(await page.getAttribute(`${first} .icon`, 'aria-pressed'), 'true');
    assert.deepEqual(
      (await events()).map((event) => event.type),
      ['like'],
    );
    await page.click(`${first} .stars button:nth-child(4)`);
    await page.waitForFunction(() => document.querySelector('#picks .given').textContent.startsWith('4 of'));
    assert.equal(await page.locator('#picks li').count(), 1);
    assert.equal(await page.locator(`${first} [aria-pressed="true"]`).count(), 1);
    assert.deepEqual(
      (await events()).map((event) => event.type),
      ['like', 'rate'],
      'the log has both',
    );
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('picks outlast a reload, and removing the last one keeps the focus', async () => {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    for (const picks of [1, 2]) await likeFirst(page, picks);
    const picks = () => page.$$eval('#picks li', (rows) => rows.map((row) => row.textContent));
    const [titles, slate] = [await picks(), await shown(page)];
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('#picks li').length === 2);
    await page.waitForSelector('#items > li');
    assert.deepEqual(await picks(), titles);
    assert.deepEqual(await shown(page), slate);
    assert.equal(await page.textContent('#kept'), 'Kept on this device until you start over.');

    const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.id);
    for (const [left, focused] of [
      [1, /^Remove /],
      [0, /^no-picks$/],
    ]) {
      await page.focus('#picks li:first-child button');
      await page.keyboard.press('Enter');
      await page.waitForFunction((left) => document.querySelectorAll('#picks li').length === left, left);
      assert.match(await focus(), focused);
    }
    await likeFirst(page, 1);
    await page.click('#reset');
    await page.waitForSelector('#picks li', { state: 'detached' });
    await page.waitForFunction(() => document.activeElement.id === 'no-picks');
    await page.reload();
    await ready(page);
    await page.waitForSelector('#items > li');
    assert.deepEqual(await picks(), [], 'starting over erases what was kept');
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('says so where the browser stores nothing', async () => {
    const { page, messages } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    // A database of a later version cannot be opened.
    await page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open('foretaste', 99);
          request.onsuccess = () => resolve(request.result.close());
          request.onerror = () => reject(request.error);
        }),
    );
    await page.reload();
    await ready(page);
    await likeFirst(page, 1);
    assert.match(await page.textContent('#kept'), /^Kept until you leave this page: .*version/);
    await page.reload();
    await ready(page);
    await page.waitForSelector('#items > li');
    assert.equal(await page.locator('#picks li').count(), 0);
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('has fewer than 40 tab stops before the slate, and arrow keys reach the stars', async () => {
    const { page } = await watchedPage(chrome);
    await page.goto(server.address);
    await ready(page);
    for (let picks = 1; picks <= 12; picks += 1) await likeFirst(page, Math.min(picks, 10));
    assert.equal(await page.textContent('#all-picks'), 'Show all 12');
    await page.evaluate(() => document.activeElement.blur());
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll('#picks li').length === 10);
    await page.waitForSelector('#items > li');
    let stops = 0;
    const inSlate = () => page.evaluate(() => document.querySelector('#slate').contains(document.activeElement));
    for (; stops < 60; stops += 1) {
      await page.keyboard.press('Tab');
      if (await inSlate()) break;
    }
    // The skip link, the search field, six items, two buttons beside ten picks.
    assert.equal(stops, 20);

    const label = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
    await page.focus('#found > li:first-child .icon');
    for (const [key, expected] of [
      ['ArrowLeft', /^Like /],
      ['ArrowRight', /: 1 of 5$/],
      ['ArrowRight', /: 2 of 5$/],
      ['End', /: 5 of 5$/],
      ['ArrowRight', /: 5 of 5$/],
      ['Home', /^Like /],
    ]) {
      await page.keyboard.press(key);
      assert.match(await label(), expected, key);
    }
    await page.click('#all-picks');
    await page.waitForFunction(() => document.querySelectorAll('#picks li').length === 12);
    assert.equal(await page.evaluate(() => document.activeElement.closest('#picks li').matches(':nth-child(11)')), true);
    await page.close();
  });

  test('axe finds nothing, light or dark, empty or full', async () => {
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    for (const colorScheme of ['light', 'dark']) {
      const { page, messages } = await watchedPage(chrome, { colorScheme, reducedMotion: 'reduce' });
      await page.goto(server.address);
      await ready(page);
      await page.waitForSelector('#items > li');
      await page.evaluate(axe);
      const faults = () =>
        page.evaluate(async () => (await window.axe.run()).violations.map((v) => [v.id, ...v.nodes.map((n) => n.html)]));
      assert.deepEqual(await faults(), [], `${colorScheme}, no picks`);
      await likeFirst(page, 1);
      await page.click('#found > li:first-child .stars button:nth-child(3)');
      await page.waitForFunction(() => document.querySelectorAll('#picks li').length >= 1);
      await page.locator('#epsilon').fill('60');
      await page.waitForSelector('#items .explored');
      await page.click('#items > li:first-child .measures button');
      await page.waitForSelector('#items .similar li');
      assert.deepEqual(await faults(), [], `${colorScheme}, with picks, explored, similar items open`);
      assert.deepEqual(messages, []);
      await page.close();
    }
  });

  test('keeps events on the device for all tabs', async () => {
    const context = await chrome.newContext();
    const open = async () => {
      const page = await context.newPage();
      await page.goto(server.address);
      await page.evaluate(async () => {
        const { load } = await import('./package/index.js');
        window.rec = await load('./bundle/', { storage: 'indexeddb' });
      });
      return page;
    };
    const kept = (page) => page.evaluate(async () => (await window.rec.profile.get()).map((event) => event.item));
    const [one, two] = [await open(), await open()];
    await one.evaluate(() => window.rec.record({ item: '7', type: 'like' }));
    await two.evaluate(() => window.rec.record({ item: '8', type: 'like' }));
    await one.waitForFunction(async () => (await window.rec.profile.get()).length === 2);
    assert.deepEqual(await kept(one), ['7', '8']);
    const third = await open();
    assert.deepEqual(await kept(third), ['7', '8'], 'a new tab finds them');
    assert.equal(
      await third.evaluate(async () => (await window.rec.exportLog()).trim().split('\n').length),
      2,
      'and its log does not repeat them',
    );
    await two.evaluate(() => window.rec.profile.clear());
    await one.waitForFunction(async () => (await window.rec.profile.get()).length === 0);
    await context.close();
  });
});

describe('faulty bundles in Chromium', () => {
  for (const { name, code, folder } of faultyBundles(TINY)) {
    test(`${name} is refused as ${code}`, async () => {
      const server = await serve(site(folder));
      const page = await chrome.newPage();
      try {
        await page.goto(server.address);
        await page.waitForSelector('#status[data-state="failed"]');
        assert.equal(await page.getAttribute('#status', 'data-code'), code);
      } finally {
        await page.close();
        server.stop();
      }
    });
  }
});
