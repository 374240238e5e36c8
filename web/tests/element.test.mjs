// The element <foretaste-slate> in Chromium: states, keyboard, what is logged when.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import { define, ForetasteSlate, shell } from '../dist/package/element.js';
import { browser, changed, editManifest, join, site, statics, TINY, watchedPage, writeFileSync } from './support.mjs';

const K = 6;
/** The page's own styles and scripts have the nonce; the element's need none. */
const CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'nonce-n'; style-src 'self' 'nonce-n'; require-trusted-types-for 'script'";
/** A title that would do harm as markup. */
const EVIL = '<img src=x onerror="window.harmed = true"><b>Bold</b>';
const BODY = `<main><h1>Shop</h1>%</main>`;

/** The bundle with such a title of item 1. */
const evil = () =>
  changed(TINY, (folder) => {
    const path = join(
      folder,
      readdirSync(folder).find((name) => name.startsWith('catalog')),
    );
    const catalog = JSON.parse(readFileSync(path, 'utf8'));
    catalog.titles[0] = EVIL;
    const text = JSON.stringify(catalog);
    writeFileSync(path, text);
    editManifest(folder, (manifest) => {
      const sha256 = createHash('sha256').update(text).digest('hex');
      Object.assign(
        manifest.files.find(({ role }) => role === 'catalog'),
        { bytes: Buffer.byteLength(text), sha256 },
      );
    });
  });

/** A page with the element. */
const html = (body, head = '') => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width"><style nonce="n">:root { color-scheme: light dark } .far { height: 3000px }</style>${head}
<script type="module" src="/package/element.js"></script></head><body>${BODY.replace('%', body)}</body></html>`;

let chrome, server, folder;
before(async () => {
  chrome = await browser();
  folder = site(evil());
  server = await statics(folder, { 'content-security-policy': CSP });
});
after(async () => {
  await chrome?.close();
  server?.stop();
});

let pages = 0;
/** Opens a page with this body. */
async function opened(body, { head, prepare, ...options } = {}) {
  const name = `page-${pages++}.html`;
  writeFileSync(join(folder, name), html(body, head));
  const watched = await watchedPage(chrome, options);
  await prepare?.(watched.page);
  await watched.page.goto(`${server.address}${name}`);
  return watched;
}

const state = (page, name) => page.waitForSelector(`foretaste-slate[state="${name}"]`, { timeout: 20_000 });
const tag = (attributes = '', children = '') =>
  `<foretaste-slate ${attributes} src="/bundle/" k="${K}" heading="For you">${children}</foretaste-slate>`;
/** Runs a function on the element. */
const on = (page, of, argument) =>
  page.evaluate(
    ([of, argument]) =>
      new Function('slate', 'argument', `return (${of})(slate, argument)`)(document.querySelector('foretaste-slate'), argument),
    [String(of), argument],
  );
const log = async (page) => {
  const text = await on(page, (slate) => slate.recommender.exportLog());
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
};
const shownItems = (page) => on(page, (slate) => slate.state.items);
const labels = (page) => on(page, (slate) => [...slate.shadowRoot.querySelectorAll('.link')].map((link) => link.textContent));

/** Moves the pages' clock of timers: real seconds, as the observer needs frames. */
const wait = (page, ms) => page.waitForTimeout(ms);

describe('what is logged', () => {
  const far = '<div class="far"></div>';

  test('nothing that was not seen for a second in a visible page; then slots and propensities, once', async () => {
    const { page, messages } = await opened(`${far}${tag('policy="thompson"')}${far}`);
    await state(page, 'ready');
    await wait(page, 1300);
    assert.deepEqual(await log(page), [], 'out of view');

    await page.evaluate(() => document.querySelector('foretaste-slate').scrollIntoView({ block: 'center' }));
    await wait(page, 500);
    await page.evaluate(() => scrollTo(0, 0));
    await wait(page, 1300);
    assert.deepEqual(await log(page), [], 'half a second');

    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
      document.querySelector('foretaste-slate').scrollIntoView({ block: 'center' });
    });
    await wait(page, 1300);
    assert.deepEqual(await log(page), [], 'a hidden tab');

    await page.evaluate(() => {
      delete document.visibilityState;
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await wait(page, 1300);
    const [line, ...more] = await log(page);
    const items = await shownItems(page);
    assert.deepEqual([line.type, line.policy, more], ['impression', 'thompson', []]);
    assert.deepEqual(
      line.slots.map(({ item, propensity }) => [item, propensity]),
      items.map(({ id, propensity }) => [id, propensity]),
    );
    assert.ok(line.slots.length === K && line.slots.every(({ propensity }) => propensity > 0 && propensity <= 1));

    await page.evaluate(() => scrollTo(0, 0));
    await page.evaluate(() => document.querySelector('foretaste-slate').scrollIntoView({ block: 'center' }));
    await wait(page, 1300);
    assert.equal((await log(page)).length, 1, 'once');
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('a slate down to the last item that was seen, and a longer line when more are', async () => {
    const style = '<style nonce="n">foretaste-slate { --foretaste-columns: 1fr; --foretaste-item-height: 400px }</style>';
    const { page } = await opened(tag(), { head: style, viewport: { width: 600, height: 700 } });
    await state(page, 'ready');
    await wait(page, 1300);
    assert.deepEqual(
      (await log(page)).map(({ slots }) => slots.length),
      [1],
    );
    await page.evaluate(() => scrollTo(0, 1000));
    await wait(page, 1300);
    // The log only grows: readers take the longer line of a slate.
    const lines = await log(page);
    assert.deepEqual(
      lines.map(({ slate, slots }) => [slate === lines[0].slate, slots.length]),
      [
        [true, 1],
        [true, 4],
      ],
    );
    await page.close();
  });

  test('an item taller than the page counts when it fills half of it', async () => {
    const style = '<style nonce="n">foretaste-slate { --foretaste-columns: 1fr; --foretaste-item-height: 3000px }</style>';
    const { page } = await opened(tag('k="2"'), { head: style, viewport: { width: 600, height: 700 } });
    await state(page, 'ready');
    await wait(page, 1300);
    assert.deepEqual(
      (await log(page)).map(({ slots }) => slots.length),
      [1],
    );
    await page.close();
  });

  test('an answer writes the slate first, seen or not', async () => {
    const { page } = await opened(tag());
    await state(page, 'ready');
    await page.click('foretaste-slate .link >> nth=1');
    await page.waitForFunction(() =>
      document
        .querySelector('foretaste-slate')
        .recommender.profile.get()
        .then((all) => all.length),
    );
    const [line, answer] = await log(page);
    assert.deepEqual([line.type, answer.type, answer.slate, answer.item], ['impression', 'like', line.slate, line.slots[1].item]);
    await page.close();
  });
});

describe('the visitor', () => {
  test('chooses with the keyboard alone; a choice counts once and can be cancelled', async () => {
    const { page, messages } = await opened(`${tag()}<a href="#end">End</a>`);
    await state(page, 'ready');
    const events = () => on(page, (slate) => slate.recommender.profile.get());
    await on(page, (slate) => {
      window.choices = [];
      slate.addEventListener('foretaste-choose', (event) => {
        window.choices.push([event.detail.slot, event.detail.item.id, event.detail.slate]);
        if (event.detail.slot === 0) event.preventDefault();
      });
    });
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.deepEqual(await events(), [], 'cancelled');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() =>
      document
        .querySelector('foretaste-slate')
        .recommender.profile.get()
        .then((all) => all.length),
    );
    const [items, slate] = [await shownItems(page), await on(page, (slate) => slate.state.slate.id)];
    assert.deepEqual(
      await page.evaluate('choices'),
      [0, 1, 1].map((slot) => [slot, items[slot].id, slate]),
    );
    const kept = await events();
    assert.deepEqual(
      kept.map(({ item, type, slate }) => [item, type, slate]),
      [[items[1].id, 'like', slate]],
    );
    for (let i = 2; i < K; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'End', 'one stop an item');
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('keeps focus when a new slate comes', async () => {
    const { page } = await opened(tag());
    await state(page, 'ready');
    await on(page, (slate) => slate.addEventListener('foretaste-record', () => slate.reload()));
    const before = await on(page, (slate) => slate.state.slate.id);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction((id) => document.querySelector('foretaste-slate').state.slate.id !== id, before);
    const place = await on(page, ({ shadowRoot }) => [...shadowRoot.querySelectorAll('.link')].indexOf(shadowRoot.activeElement));
    assert.equal(place, 1);
    await page.close();
  });

  test('follows links, and the answer is kept', async () => {
    const { page, messages } = await opened(tag('link="/bundle/manifest.json?of={id}" storage="indexeddb" answer="rate"'));
    await state(page, 'ready');
    const [, { id }] = await shownItems(page);
    const address = page.url();
    await Promise.all([page.waitForURL(`**/manifest.json?of=${id}`), page.click('foretaste-slate a >> nth=1')]);
    await page.goto(address);
    await state(page, 'ready');
    const kept = await on(page, (slate) => slate.recommender.profile.get());
    assert.deepEqual(
      kept.map(({ item, type }) => [item, type]),
      [[id, 'rate']],
    );
    await on(page, (slate) => slate.recommender.profile.clear());
    assert.deepEqual(messages, []);
    await page.close();
  });

  test('gets no address of a script, and no title as markup', async () => {
    const { page, messages } = await opened(
      tag(
        'k="60" link="javascript:alert({id})"',
        '<template slot="item"><b data-field="title"></b> <i data-field="tags"></i></template>',
      ),
      {
        prepare: (page) =>
          page.addInitScript(() => {
            window.errors = [];
            addEventListener('foretaste-error', ({ detail }) => window.errors.push([detail.code, detail.part]));
          }),
      },
    );
    await state(page, 'ready');
    assert.ok((await labels(page)).some((label) => label.startsWith(EVIL)));
    const found = await on(page, ({ shadowRoot }) =>
      ['a', 'img', 'button b', 'b b'].map((of) => shadowRoot.querySelectorAll(of).length),
    );
    assert.deepEqual(found, [0, 0, 60, 0]);
    assert.deepEqual((await page.evaluate('errors'))[0], ['argument', 'link']);
    assert.equal(await page.evaluate('window.harmed'), undefined);
    await on(page, (slate) => {
      slate.renderItem = ({ title }) => title;
    });
    assert.ok((await labels(page)).includes(EVIL));
    assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelectorAll('img').length), 0);
    assert.deepEqual(messages, []);
    await page.close();
  });
});

describe('states', () => {
  const check = async (page, what) => {
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(
      violations.map(({ id, nodes }) => [what, id, nodes.map((node) => node.html)]),
      [],
    );
  };

  for (const colorScheme of ['light', 'dark']) {
    test(`loading, ready, empty and error pass axe in ${colorScheme}`, async () => {
      let go;
      const { page, messages } = await opened(tag(), {
        colorScheme,
        prepare: (page) => page.route('**/bundle/manifest.json', (route) => (go = () => route.continue())),
      });
      await page.waitForFunction(() => document.querySelector('foretaste-slate')?.shadowRoot?.querySelector('.skeleton'));
      await check(page, 'loading');
      assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelectorAll('.skeleton').length), K);
      assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelector('ul').getAttribute('aria-busy')), 'true');
      go();
      await state(page, 'ready');
      await check(page, 'ready');
      assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelector('ul').getAttribute('aria-busy')), 'false');
      assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelectorAll('.skeleton').length), 0);
      await on(
        page,
        (slate, exclude) => Object.assign(slate, { request: { exclude } }),
        Array.from({ length: 60 }, (_, i) => String(i + 1)),
      );
      await state(page, 'empty');
      await check(page, 'empty');
      assert.ok(await page.isVisible('text=Nothing to show yet.'));
      await on(page, (slate) => Object.assign(slate, { request: { k: 0 } }));
      await state(page, 'error');
      await check(page, 'error');
      assert.ok((await page.isVisible('text=This list could not be loaded.')) && (await page.isVisible('text=Try again')));
      assert.deepEqual(await on(page, (slate) => [slate.state.error.code, slate.state.items]), ['range', []]);
      assert.deepEqual(messages, []);
      await page.close();
    });
  }

  test('a bundle that is not there is an error, and a second try heals it', async () => {
    let fails = true;
    const { page } = await opened(tag('', '<p slot="error">Sorry!</p>'), {
      prepare: (page) =>
        page.route('**/bundle/manifest.json', (route) => (fails ? route.fulfill({ status: 404 }) : route.continue())),
    });
    await state(page, 'error');
    assert.equal(await on(page, (slate) => slate.state.error.code), 'missing');
    assert.ok(await page.isVisible('text=Sorry!'));
    fails = false;
    await page.click('foretaste-slate .retry');
    await state(page, 'ready');
    assert.ok(!(await page.isVisible('text=Sorry!')));
    await page.close();
  });

  test('popular items stand in for a tower that fails; the log gets none of them', async () => {
    const { page } = await opened(tag('', '<span slot="fallback">Popular</span>'), {
      prepare: (page) => page.route('**/user_tower*', (route) => route.fulfill({ status: 404 })),
    });
    await state(page, 'fallback');
    const popular = await on(page, (slate, k) => slate.recommender.find('', { k }), K);
    assert.deepEqual(await shownItems(page), popular);
    assert.ok(await page.isVisible('text=Popular'));
    await wait(page, 1300);
    assert.deepEqual(await log(page), []);
    await page.click('foretaste-slate .link >> nth=0');
    await page.waitForFunction(() =>
      document
        .querySelector('foretaste-slate')
        .recommender.profile.get()
        .then((all) => all.length),
    );
    assert.deepEqual(
      (await log(page)).map(({ item, slate }) => [item, slate]),
      [[popular[0].id, undefined]],
    );
    await on(page, (slate) => slate.reload());
    await page.waitForFunction((id) => document.querySelector('foretaste-slate').state.items[0].id !== id, popular[0].id);
    await page.close();
  });

  test('popular items stand in for a tower that is late, until it comes', async () => {
    let go;
    const { page } = await opened(tag('fallback="100"'), {
      prepare: (page) => page.route('**/user_tower*', (route) => (go = () => route.continue())),
    });
    await state(page, 'fallback');
    assert.equal(await on(page, (slate) => slate.state.slate), undefined);
    go();
    await state(page, 'ready');
    assert.equal((await shownItems(page)).length, K);
    await page.close();
    const other = await opened(tag('fallback="off"'), {
      prepare: (page) => page.route('**/user_tower*', (route) => (go = () => route.continue())),
    });
    await wait(other.page, 1500);
    assert.equal(await on(other.page, (slate) => slate.state.status), 'loading');
    go();
    await state(other.page, 'ready');
    await other.page.close();
  });
});

describe('the page around it', () => {
  /** Sums up the shifts of the page. */
  const shifts = (page) =>
    page.addInitScript(() => {
      window.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shift += entry.value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
  const below = '<p>Below</p><p>and more</p>';
  const server = `<ol>${Array.from({ length: 3 }, (_, i) => `<li><a href="/${i}">Item ${i}</a></li>`).join('')}</ol>`;

  for (const width of [360, 1100]) {
    test(`does not move at ${width} pixels: rendered by a server, then loading, then the slate`, async () => {
      let release;
      const seen = new Promise((resolve) => (release = resolve));
      const { page, messages } = await opened(
        `${tag('', `${shell({ k: K, heading: 'For you', nonce: 'n' })}${server}`)}${below}`,
        {
          viewport: { width, height: 900 },
          // The page is drawn long before the script is there.
          prepare: async (page) => {
            await shifts(page);
            await page.route('**/element.js', (route) => setTimeout(() => route.continue(), 500));
            await page.route('**/bundle/manifest.json', (route) => seen.then(() => route.continue()));
          },
        },
      );
      await page.waitForSelector('text=Item 2');
      const top = () => page.evaluate(() => document.querySelector('main > p').getBoundingClientRect().top);
      const before = await top();
      await page.waitForSelector('foretaste-slate[state="loading"]');
      assert.ok(await page.isVisible('text=Item 2'), "the server's items stay until the slate is there");
      release();
      await state(page, 'ready');
      assert.ok(!(await page.isVisible('text=Item 2')));
      await wait(page, 300);
      assert.equal(await top(), before);
      assert.ok((await page.evaluate('shift')) < 0.02, `shift ${await page.evaluate('shift')}`);
      assert.equal((await labels(page)).length, K);
      assert.deepEqual(messages, []);
      await page.close();
    });
  }

  test('an element that moves keeps its bundle, one that goes lets it go', async () => {
    const { page, requests } = await opened(`${tag()}<div id="other"></div>`);
    await state(page, 'ready');
    await on(page, (slate) => {
      window.before = slate.recommender;
      document.querySelector('#other').append(slate);
    });
    await wait(page, 100);
    assert.ok(await on(page, (slate) => slate.recommender === window.before && slate.state.status === 'ready'));
    assert.equal(requests.filter((url) => url.endsWith('manifest.json')).length, 1);
    await on(page, (slate) => {
      slate.remove();
      window.slate = slate;
    });
    await wait(page, 100);
    const code = await page.evaluate(() => window.before.find('').catch((error) => error.code));
    assert.equal(code, 'disposed');
    await page.evaluate(() => document.body.append(window.slate));
    await state(page, 'ready');
    await page.close();
  });

  test('properties that are set before the element is defined count', async () => {
    const { page } = await opened(`${tag()}<script nonce="n">
      const slate = document.querySelector('foretaste-slate');
      slate.request = { k: 2, exclude: ['1'] };
      slate.renderItem = ({ id }) => 'Item ' + id;
    </script>`);
    await state(page, 'ready');
    const items = await shownItems(page);
    assert.equal(items.length, 2);
    assert.deepEqual(
      await labels(page),
      items.map(({ id }) => `Item ${id}`),
    );
    await page.close();
  });

  test('attributes that change: a new slate, and the same bundle', async () => {
    const { page, requests } = await opened(tag());
    await state(page, 'ready');
    await on(page, (slate) => {
      slate.setAttribute('k', '3');
      slate.setAttribute('heading', 'Only three');
      slate.setAttribute('level', '3');
    });
    await page.waitForFunction(() => document.querySelector('foretaste-slate').state.items.length === 3);
    assert.equal(await on(page, ({ shadowRoot }) => shadowRoot.querySelector('h3').textContent), 'Only three');
    assert.equal((await labels(page)).length, 3);
    assert.equal(requests.filter((url) => url.endsWith('manifest.json')).length, 1);
    await page.close();
  });

  test('in Node the file can be imported and makes the markup of a server', () => {
    define();
    assert.equal(typeof ForetasteSlate, 'function');
    const markup = shell({ k: 2, heading: '<b>"&', level: 3, nonce: 'x' });
    assert.match(markup, /^<template shadowrootmode="open"><style nonce="x">/);
    assert.ok(markup.includes('>&#60;b&#62;&#34;&#38;</h3>') && markup.split('<li').length === 3);
  });
});
