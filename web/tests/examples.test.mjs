// Each page of web/examples in Chromium, with the committed bundle.
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { builtForNode, builtForPage, words } from './built.mjs';
import { browser, DIST, join, root, statics, TINY, temporary, watchedPage, writeFileSync } from './support.mjs';

const examples = join(root, 'web/examples');
const MOST_LINES = 60;

let chrome, server, folder;
before(async () => {
  chrome = await browser();
  folder = temporary();
  cpSync(examples, folder, { recursive: true });
  cpSync(TINY, join(folder, 'bundle'), { recursive: true });
  for (const name of ['foretaste', 'package']) cpSync(join(DIST, 'package'), join(folder, name), { recursive: true });
  await builtForPage(join(examples, 'react.jsx'), join(folder, 'react.js'));
  writeFileSync(
    join(folder, 'react.html'),
    '<!doctype html><html lang="en"><title>React</title><div id="app"></div><script type="module" src="/react.js"></script>',
  );
  await builtForPage(join(examples, 'server/client.jsx'), join(folder, 'client.js'));
  const { page } = await builtForNode(join(examples, 'server/server.jsx'), join(folder, 'server.mjs'));
  writeFileSync(join(folder, 'server.html'), await page(pathToFileURL(`${TINY}/`)));
  server = await statics(folder);
});
after(async () => {
  await chrome?.close();
  server?.stop();
});

/** Opens an example, and tests it: the console stays empty, nothing moves, and nothing is fetched from elsewhere. */
const example = (name, check) =>
  test(name, async () => {
    const { page, messages, requests } = await watchedPage(chrome);
    await page.addInitScript(() => {
      window.shift = 0;
      new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) window.shift += hadRecentInput ? 0 : value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(`${server.address}${name}`);
    await check(page, requests);
    assert.deepEqual(words(messages), []);
    assert.ok((await page.evaluate('shift')) < 0.02, `the layout shifts by ${await page.evaluate('shift')}`);
    assert.deepEqual(
      requests.filter((url) => !url.startsWith(server.address) && !url.startsWith('blob:')),
      [],
    );
    await page.close();
  });
const ready = (page) => page.waitForSelector('foretaste-slate[state="ready"]', { timeout: 20_000 });
const ids = (page) => page.evaluate(() => document.querySelector('foretaste-slate').state.items.map(({ id }) => id));

describe('examples', () => {
  test('are short', () => {
    const files = readdirSync(examples, { recursive: true }).filter((name) => /\.(html|jsx)$/.test(name));
    assert.equal(files.length, 7);
    for (const name of files) assert.ok(readFileSync(join(examples, name), 'utf8').split('\n').length <= MOST_LINES, name);
  });

  example('plain.html', async (page) => {
    await ready(page);
    const [before, title] = [await ids(page), await page.textContent('foretaste-slate a strong')];
    assert.equal(before.length, 6);
    await page.click('foretaste-slate a');
    assert.equal(await page.textContent('#chosen'), `You chose ${title}.`);
    assert.ok(page.url().endsWith(`#film-${before[0]}`));
    await page.waitForFunction(
      (id) => !document.querySelector('foretaste-slate').state.items.some((item) => item.id === id),
      before[0],
    );
    await page.reload();
    await ready(page);
    assert.ok(!(await ids(page)).includes(before[0]), 'the device keeps the choice');
  });

  example('worker.html', async (page, requests) => {
    await page.waitForSelector('body[data-workers]');
    assert.ok(requests.some((url) => url.endsWith('/foretaste/worker.js')) && !requests.some((url) => url.endsWith('core.js')));
    const titles = () => page.$$eval('#items button', (buttons) => buttons.map((button) => button.textContent));
    const before = await titles();
    assert.equal(before.length, 5);
    await page.click('#items button');
    await page.waitForFunction((title) => document.querySelector('#items button').textContent !== title, before[0]);
    assert.ok(!(await titles()).includes(before[0]));
  });

  example('ab.html', async (page) => {
    await ready(page);
    const arm = await page.textContent('#arm');
    assert.ok(['greedy', 'thompson'].includes(arm));
    const [first] = await ids(page);
    await page.click('foretaste-slate button');
    await page.waitForFunction(
      (id) => !document.querySelector('foretaste-slate').state.items.some((item) => item.id === id),
      first,
    );
    await page.waitForTimeout(1400);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#log')]);
    const log = readFileSync(await download.path(), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual([log[0].type, log[0].experiment, log[0].arm], ['assignment', 'policy', arm]);
    const slates = log.filter(({ type }) => type === 'impression');
    assert.ok(
      slates.length >= 2 &&
        slates.every(({ policy, slots }) => policy === arm && slots.every(({ propensity }) => propensity > 0)),
    );
    const answer = log.find(({ item }) => item);
    assert.deepEqual([answer.type, answer.item, answer.slate], ['like', first, slates[0].slate]);
    await page.reload();
    await ready(page);
    assert.equal(await page.textContent('#arm'), arm, 'the visitor keeps the arm');
  });

  example('react.html', async (page) => {
    await page.waitForSelector('section[aria-busy="false"] li');
    const first = await page.textContent('li');
    assert.equal(await page.textContent('h2'), 'For you');
    await page.click('li button');
    await page.waitForFunction((first) => document.querySelector('li').textContent !== first, first);
    assert.equal((await page.$$('li')).length, 5);
  });

  example('server.html', async (page) => {
    const served = await (await fetch(`${server.address}server.html`)).text();
    assert.equal(served.match(/<li>/g).length, 5, 'the markup has popular items');
    await page.waitForSelector('section[aria-busy="false"] li');
    assert.equal((await page.$$('li button:enabled')).length, 5);
  });
});
