// The React hooks in Chromium, with React's development build under StrictMode: its warnings would be in the console.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { builtForNode, builtForPage, words } from './built.mjs';
import { browser, join, site, statics, TINY, watchedPage, writeFileSync } from './support.mjs';

/** A page whose `window.set` changes the props of the list, and whose `window.used` is what the hook returned last. */
const APP = `
import { StrictMode, useState } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { useRecommender, useSlate } from 'foretaste/react';

export function List({ source = '/bundle/', request = { k: 5 }, initial, tall, fallback }) {
  const used = useSlate(source, { ...request }, { initial, fallback, load: { storage: 'memory' } });
  globalThis.used = used;
  return (
    <ul data-status={used.status} data-fallback={used.fallback}>
      {used.items.map((item) => <li key={item.id} ref={used.seen(item)} className={tall ? 'tall' : ''}>{item.title}</li>)}
    </ul>
  );
}
function Opened(props) {
  const state = useRecommender(props.url, props.options);
  globalThis.state = state;
  return <List {...props} source={state} />;
}
export function App({ first, progress }) {
  const [props, set] = useState(first);
  globalThis.set = set;
  if (!props) return null;
  return props.url ? <Opened {...props} options={{ onProgress: (now) => progress?.push(now) }} /> : <List {...props} />;
}
if (typeof document !== 'undefined') {
  const app = document.querySelector('#app');
  const { first, progress } = window;
  const tree = <StrictMode><App first={first} progress={progress} /></StrictMode>;
  globalThis.root = app.hasChildNodes() ? hydrateRoot(app, tree) : createRoot(app).render(tree);
}
`;

let chrome, server, folder;
before(async () => {
  chrome = await browser();
  folder = site(TINY);
  await builtForPage(APP, join(folder, 'app.js'));
  server = await statics(folder);
});
after(async () => {
  await chrome?.close();
  server?.stop();
});

let pages = 0;
/** Opens a page whose list has these props at first. */
async function opened(first, { markup = '', prepare } = {}) {
  const name = `react-${pages++}.html`;
  const style = '.far { height: 3000px } .tall { height: 400px }';
  writeFileSync(
    join(folder, name),
    `<!doctype html><html lang="en"><title>React</title><style>${style}</style><div id="app">${markup}</div>
<script>window.first = ${JSON.stringify(first)}; window.progress = []; window.updates = 0</script><script type="module" src="/app.js"></script>`,
  );
  const watched = await watchedPage(chrome, { viewport: { width: 600, height: 700 } });
  await prepare?.(watched.page);
  await watched.page.goto(`${server.address}${name}`);
  return watched;
}
const status = (page, name) => page.waitForSelector(`ul[data-status="${name}"]`, { state: 'attached', timeout: 20_000 });
const set = (page, props) => page.evaluate((props) => window.set(props), props);
const slate = (page) => page.evaluate(() => window.used.slate?.id);
const titles = (page) => page.$$eval('li', (rows) => rows.map((row) => row.textContent));
const manifests = (requests) => requests.filter((url) => url.endsWith('manifest.json')).length;

describe('useRecommender', () => {
  test('under StrictMode one recommender stays; unmounted, it is gone', async () => {
    const { page, messages, requests } = await opened({ url: '/bundle/' });
    await status(page, 'ready');
    assert.equal(manifests(requests), 1);
    const progress = await page.evaluate('progress');
    assert.equal(progress.at(-1).loaded, progress.at(-1).total);
    assert.deepEqual(await page.evaluate(() => window.state.progress), progress.at(-1));
    assert.deepEqual(await page.evaluate(() => [window.state.status, window.used.items.length, window.used.fallback]), [
      'ready',
      5,
      false,
    ]);
    await page.evaluate(() => {
      window.last = window.state.recommender;
    });
    await set(page, null);
    await page.waitForTimeout(100);
    assert.equal(await page.evaluate(() => window.last.find('').catch((error) => error.code)), 'disposed');
    assert.deepEqual(words(messages), []);
    await page.close();
  });

  test('unmounted before the bundle is there: the load ends, and nothing is said', async () => {
    let go;
    const { page, messages, requests } = await opened(
      { url: '/bundle/' },
      { prepare: (page) => page.route('**/bundle/manifest.json', (route) => (go = () => route.continue().catch(() => {}))) },
    );
    await status(page, 'loading');
    await page.waitForTimeout(200);
    await set(page, null);
    await page.waitForTimeout(100);
    go();
    await page.waitForTimeout(300);
    assert.deepEqual(
      requests.filter((url) => url.includes('items-')),
      [],
    );
    assert.deepEqual(words(messages), []);
    await page.close();
  });

  test('an address that has no bundle is an error; another address heals it', async () => {
    const { page } = await opened({ url: '/nowhere/' });
    await status(page, 'error');
    assert.deepEqual(await page.evaluate(() => [window.state.status, window.state.error.code, window.used.error.code]), [
      'error',
      'missing',
      'missing',
    ]);
    await set(page, { url: '/bundle/' });
    await status(page, 'ready');
    assert.deepEqual(await page.evaluate(() => [window.state.error, window.used.error]), [undefined, undefined]);
    await page.close();
  });
});

describe('useSlate', () => {
  test('asks again for another request, not for an equal one; an old slate stays until the new one is there', async () => {
    const { page, messages, requests } = await opened({ request: { k: 5 } });
    await status(page, 'ready');
    const first = await slate(page);
    await set(page, { request: { k: 5 } });
    await page.waitForTimeout(200);
    assert.equal(await slate(page), first);
    const seen = await page.evaluate(async () => {
      const seen = [];
      window.set({ request: { k: 3 } });
      for (let i = 0; i < 50; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        seen.push(document.querySelectorAll('li').length);
      }
      return seen;
    });
    assert.deepEqual([...new Set(seen)].sort(), seen[0] === 3 ? [3] : [3, 5]);
    const before = await slate(page);
    await page.evaluate(() => window.used.reload());
    await page.waitForFunction((id) => window.used.slate.id !== id, before);
    assert.equal(manifests(requests), 1);
    assert.deepEqual(words(messages), []);
    await page.close();
  });

  test('logs what was seen for a second, with propensities, and the answer with its slate', async () => {
    const { page, messages } = await opened({ url: '/bundle/', tall: true, request: { k: 5, explore: { policy: 'thompson' } } });
    await status(page, 'ready');
    const log = () =>
      page.evaluate(async () => {
        const text = await window.state.recommender.exportLog();
        return text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line));
      });
    await page.waitForTimeout(500);
    assert.deepEqual(await log(), [], 'half a second');
    await page.waitForTimeout(900);
    const [line, ...more] = await log();
    const items = await page.evaluate(() => window.used.items);
    assert.deepEqual(more, []);
    assert.deepEqual([line.type, line.policy, line.slate], ['impression', 'thompson', await slate(page)]);
    assert.deepEqual(
      line.slots.map(({ item, propensity }) => [item, propensity]),
      items.slice(0, 2).map(({ id, propensity }) => [id, propensity]),
      'two of the five items are in view',
    );
    const kept = await page.evaluate(() => window.used.record(window.used.items[0], 'rate', 4));
    assert.deepEqual([kept.item, kept.type, kept.value, kept.slate], [items[0].id, 'rate', 4, line.slate]);
    assert.deepEqual(words(messages), []);
    await page.close();
  });

  test('popular items stand in for a tower that fails; a request of nonsense is an error', async () => {
    const { page } = await opened(
      {},
      { prepare: (page) => page.route('**/user_tower*', (route) => route.fulfill({ status: 404 })) },
    );
    await status(page, 'ready');
    assert.deepEqual(
      await page.evaluate(() => [window.used.fallback, window.used.items.length, window.used.slate, window.used.error.code]),
      [true, 5, undefined, 'missing'],
    );
    await set(page, { fallback: false });
    await status(page, 'error');
    await page.close();
    const other = await opened({ request: { k: 5 } });
    await status(other.page, 'ready');
    await set(other.page, { request: { k: 0 } });
    await status(other.page, 'error');
    assert.deepEqual(await other.page.evaluate(() => [window.used.error.code, window.used.items]), ['range', []]);
    await set(other.page, { request: { exclude: Array.from({ length: 60 }, (_, i) => String(i + 1)) } });
    await status(other.page, 'empty');
    await other.page.close();
  });

  test('the markup of a server hydrates without a word', async () => {
    const { App } = await builtForNode(APP, join(folder, 'server.mjs'));
    const { renderToString } = await import('react-dom/server');
    const { createElement } = await import('react');
    const initial = [{ id: '9', title: 'From the server', score: 0, fields: {} }];
    const markup = renderToString(createElement(App, { first: { initial } }));
    assert.ok(markup.includes('data-status="loading"') && markup.includes('From the server'));
    const { page, messages } = await opened({ initial }, { markup });
    await status(page, 'ready');
    assert.equal((await titles(page)).length, 5);
    assert.deepEqual(words(messages), []);
    await page.close();
  });
});
