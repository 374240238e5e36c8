// What a visitor takes back is erased, whatever goes away, fails or hears late meanwhile, in real tabs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { allow, features, heard, like, log, next, profile, reopened, short, slate, visits } from './visits.mjs';

describe('erasing', () => {
  let chrome, tab, kept, stop;
  before(async () => {
    ({ chrome, tab, kept, stop } = await visits());
  });
  after(() => stop?.());

  /** Keeps all other transactions of the database waiting, until `freed`. */
  const hold = (page) =>
    page.evaluate(async () => {
      const opening = indexedDB.open('foretaste');
      await new Promise((done) => (opening.onsuccess = done));
      const transaction = opening.result.transaction(['profiles', 'log'], 'readwrite');
      window.held = true;
      const wait = () => {
        if (window.held) transaction.objectStore('log').count().onsuccess = wait;
      };
      wait();
      window.over = new Promise((done) => (transaction.oncomplete = done)).then(() => opening.result.close());
    });
  const freed = (page) =>
    page.evaluate(() => {
      window.held = false;
      return window.over;
    });
  /** How many events, lines and ids the device has. */
  const stored = (page) =>
    page.evaluate(async () => {
      if ((await indexedDB.databases()).length === 0) return 0;
      const opening = indexedDB.open('foretaste');
      await new Promise((done) => (opening.onsuccess = done));
      const stores = ['profiles', 'log'].map((name) => opening.result.transaction(name).objectStore(name).count());
      await new Promise((done) => (stores[1].transaction.oncomplete = done));
      opening.result.close();
      return stores[0].result + stores[1].result;
    });
  const notes = (page) => page.evaluate(() => Object.keys(localStorage).length);
  /** Calls `setConsent`, or `clear` if there is nothing to withdraw, and goes away after some milliseconds. */
  const takeBackAndGo = async (page, consent, wait) => {
    const gone = page.waitForEvent('framenavigated');
    const taken = page.evaluate(
      ([consent, wait]) => {
        void (consent ? window.rec.setConsent(consent) : window.rec.profile.clear()).catch(() => {});
        if (wait === 0) location.reload();
        else setTimeout(() => location.reload(), wait);
      },
      [consent, wait],
    );
    await Promise.all([gone, taken.catch(() => {})]);
  };

  for (const worker of [false, true]) {
    describe(`a page that goes away while it erases, ${worker ? 'with a worker' : 'alone'}`, () => {
      for (const consent of [{ storage: false }, { profiling: false }, undefined]) {
        const name = consent ? `withdrawn ${Object.keys(consent)}` : 'a cleared profile';
        test(`${name}: the next load erases first, and other tabs follow`, async () => {
          const context = await chrome.newContext();
          const [page, other] = [await tab(context, { worker }), await tab(context, { worker: !worker })];
          await like(await tab(context, { namespace: 'else' }), '9');
          await like(page, '1');
          await slate(page);
          const holder = await tab(context);
          const before = await stored(holder);
          await hold(holder);
          await takeBackAndGo(page, consent, 0);
          await page.waitForLoadState();
          await freed(holder);
          assert.equal(await stored(holder), before, 'the transaction was cut off');
          assert.equal(await notes(page), 1);
          await reopened(page, { worker });
          assert.deepEqual([await profile(page), await log(page), await notes(page)], [[], [], 0]);
          const said = await features(page);
          assert.deepEqual([said.storage, said.storageError, said.cacheError], ['indexeddb', undefined, undefined]);
          if (consent) await heard(other, { storage: true, profiling: true, ...consent });
          else await other.waitForFunction(async () => (await window.rec.profile.get()).length === 0);
          await like(page, '2');
          await like(other, '3');
          await next(page, { worker, namespace: 'else' });
          assert.deepEqual(await profile(page), ['9'], 'another namespace stays');
          await next(page, { worker });
          assert.deepEqual((await profile(page)).sort(), consent ? ['2'] : ['2', '3']);
          assert.deepEqual([page.messages, other.messages], [[], []]);
          await context.close();
        });
      }

      test('at twenty moments: nothing is left', async () => {
        const context = await chrome.newContext();
        const page = await tab(context);
        for (let run = 0; run < 20; run++) {
          await reopened(page, { worker });
          for (const item of ['1', '2']) await like(page, item);
          await slate(page);
          const consent = [{ storage: false }, undefined][run % 2];
          await takeBackAndGo(page, consent, run < 6 ? 0 : Math.random() * 20);
          await page.waitForLoadState();
          await reopened(page, { worker, consent: { storage: false } });
          assert.deepEqual(await notes(page), 0);
          if (consent) assert.deepEqual((await kept(context))[0], [], `run ${run}`);
          else assert.equal(await stored(page), 0, `run ${run}`);
          await page.reload();
        }
        await context.close();
      });

      test('consent that is given again keeps what comes after it', async () => {
        const context = await chrome.newContext();
        const [page, other] = [await tab(context, { worker }), await tab(context, { worker, consent: { storage: false } })];
        await like(page, '1');
        await page.evaluate(async () => {
          const { rec } = window;
          await Promise.all([rec.setConsent({ storage: false }), rec.setConsent({ storage: true }), rec.record({ item: '2' })]);
        });
        assert.equal(await notes(page), 0);
        await next(page, { worker });
        assert.deepEqual(await profile(page), ['1', '2']);
        // Another tab is given consent while a note is left.
        await like(other, '3');
        const holder = await tab(context);
        await hold(holder);
        await takeBackAndGo(page, { storage: false }, 0);
        await page.waitForLoadState();
        await freed(holder);
        assert.equal(await notes(page), 1);
        assert.equal(await allow(other, { storage: true }), 'done');
        assert.equal(await notes(page), 0);
        await reopened(page, { worker });
        assert.deepEqual(await profile(page), ['3']);
        // Whoever clears goes on at once.
        await page.evaluate(() => {
          void window.rec.record({ item: '3' });
          void window.rec.profile.clear();
          return window.rec.record({ item: '4' });
        });
        assert.deepEqual(await profile(page), ['4']);
        await next(page, { worker });
        assert.deepEqual(await profile(page), ['4']);
        await context.close();
      });
    });
  }

  test('what cannot be erased is not opened; without localStorage all is as it was', async () => {
    const context = await chrome.newContext();
    const page = await tab(context, {});
    await like(page, '1');
    const holder = await tab(context);
    await hold(holder);
    await takeBackAndGo(page, { storage: false }, 0);
    await page.waitForLoadState();
    await freed(holder);
    const breaks = () =>
      page.evaluate(() => {
        window.remove = IDBObjectStore.prototype.delete;
        IDBObjectStore.prototype.delete = () => {
          throw new DOMException('no', 'UnknownError');
        };
      });
    const mends = () => page.evaluate(() => (IDBObjectStore.prototype.delete = window.remove));
    await breaks();
    await reopened(page, {});
    assert.equal((await features(page)).storage, 'memory');
    assert.match((await features(page)).storageError, /may not have erased/);
    assert.deepEqual([await profile(page), await notes(page)], [[], 1], 'the files are gone');
    await next(page, {});
    assert.deepEqual([await profile(page), await notes(page), (await features(page)).storage], [[], 0, 'indexeddb']);
    // A page that hears that it could not clear goes on, and what it keeps then stays.
    await like(page, '2');
    await breaks();
    assert.equal(await page.evaluate(() => window.rec.profile.clear().catch(({ code }) => code)), 'storage');
    await mends();
    await like(page, '3');
    await next(page, {});
    assert.deepEqual(await profile(page), ['2', '3']);
    // Consent is not given before what was withdrawn is erased.
    await breaks();
    assert.equal(await allow(page, { storage: false }), 'ForetasteError storage');
    assert.equal(await allow(page, { storage: true }), 'ForetasteError storage');
    assert.equal((await features(page)).consent.storage, false);
    await mends();
    assert.equal(await allow(page, { storage: true }), 'done');
    await like(page, '4');
    await next(page, {});
    assert.deepEqual([await profile(page), await notes(page)], [['2', '3', '4'], 0]);
    await context.close();

    const strict = await chrome.newContext();
    await strict.addInitScript(() =>
      Object.defineProperty(window, 'localStorage', {
        get: () => {
          throw new DOMException('denied', 'SecurityError');
        },
      }),
    );
    const denied = await tab(strict, {});
    await like(denied, '1');
    assert.equal(await allow(denied, { storage: false }), 'done');
    assert.equal(await stored(denied), 0);
    assert.equal(await allow(denied, { storage: true }), 'done');
    await denied.evaluate(() => window.rec.profile.clear());
    assert.equal(await stored(denied), 0);
    assert.deepEqual(denied.messages, []);
    await strict.close();
  });

  test('a tab that hears late erases what it wrote after the withdrawal', async () => {
    for (const worker of [false, true]) {
      const context = await chrome.newContext();
      // What other tabs say waits until the page lets it in. A worker's channel is out of reach.
      await context.addInitScript(() => {
        const { BroadcastChannel } = window;
        window.waiting = [];
        window.BroadcastChannel = class extends BroadcastChannel {
          set onmessage(hear) {
            super.onmessage = (event) => (window.deaf ? window.waiting.push(() => hear(event)) : hear(event));
          }
        };
      });
      const [one, two] = [await tab(context, { worker }), await tab(context, {})];
      await like(await tab(context, { namespace: 'other' }), '0');
      const rest = await stored(one);
      await like(one, '1');
      await two.waitForFunction(async () => (await window.rec.profile.get()).length === 1);
      await two.evaluate(() => (window.deaf = true));
      assert.equal(await allow(one, { storage: false }), 'done');
      assert.equal(await stored(one), rest);
      await like(two, '2');
      assert.ok((await stored(one)) > rest, 'it has not heard yet');
      await two.evaluate(() => {
        window.deaf = false;
        for (const hear of window.waiting.splice(0)) hear();
      });
      await heard(two, { storage: false, profiling: true });
      await two.waitForFunction(() => window.rec.features().storage === 'memory');
      assert.deepEqual(await profile(two), ['1', '2']);
      assert.deepEqual(await short(two), ['1', '2']);
      assert.equal(await stored(one), rest);
      await context.close();
    }
  });
});
