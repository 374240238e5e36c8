// What the visitor allows: what is on the device before consent, after it, and after it is withdrawn, in real tabs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { trapping } from './support.mjs';
import { ALL, allow, arm, features, heard, like, log, NOTHING, next, profile, short, slate, visits } from './visits.mjs';

describe('consent', () => {
  let chrome, tab, kept, stop;
  before(async () => {
    ({ chrome, tab, kept, stop } = await visits());
  });
  after(() => stop?.());

  for (const worker of [false, true]) {
    describe(worker ? 'in a worker' : 'in the page', () => {
      test('before consent nothing is on the device, and with it the visit is, once', async () => {
        const context = await chrome.newContext();
        // Counts channels: they would tell other tabs.
        await context.addInitScript(() => {
          window.channels = 0;
          const { BroadcastChannel } = window;
          window.BroadcastChannel = class extends BroadcastChannel {
            constructor(name) {
              super(name);
              window.channels += 1;
            }
          };
        });
        const page = await tab(context, { worker, consent: { storage: false } });
        await like(page, '50');
        const given = await arm(page);
        await slate(page);
        await page.evaluate(() => window.rec.recommend({ k: 3, hold: true }).then(({ id }) => window.rec.shown(id, 2)));
        const expected = [await profile(page), await log(page)];
        assert.deepEqual([expected[0], await short(page)], [['50'], ['50', given, 5, 2]]);
        assert.deepEqual(await kept(context), NOTHING);
        assert.equal(await page.evaluate(() => window.channels), 0);
        let said = await features(page);
        assert.deepEqual([said.storage, said.consent], ['memory', { storage: false, profiling: true }]);

        for (let time = 0; time < 2; time++) assert.equal(await allow(page, { storage: true }), 'done');
        said = await features(page);
        assert.deepEqual(
          [said.storage, said.storageError, said.consent],
          ['indexeddb', undefined, { storage: true, profiling: true }],
        );
        assert.deepEqual([await profile(page), await log(page)], expected);
        assert.deepEqual((await kept(context))[0], ['foretaste']);
        await like(page, '7');
        const before = await slate(page, { explore: { policy: 'thompson', ignored: 2, seed: 7, decision: 'd' } });
        await next(page, { worker });
        assert.deepEqual(await profile(page), ['50', '7']);
        assert.deepEqual((await log(page)).slice(0, 4), expected[1]);
        assert.equal(await arm(page), given);
        assert.equal((await short(page)).length, 6, 'the arm is written once');
        const again = { policy: 'thompson', ignored: 2, seed: 7, decision: 'd' };
        const now = await slate(page, { explore: again });
        assert.equal(now.id, before.id);
        assert.deepEqual(await kept(context), ALL);
        assert.deepEqual(page.messages, []);
        await context.close();
      });

      test('consent adds a visit to what the device has', async () => {
        const context = await chrome.newContext();
        const earlier = await tab(context, { worker });
        await like(earlier, '1');
        await like(earlier, '2');
        const ids = [(await slate(earlier)).id, (await slate(earlier)).id];
        const unit = async (page) => (await arm(page)) && (await log(page)).findLast((line) => line.unit).unit;
        const first = await unit(earlier);
        const lines = await log(earlier);
        await earlier.close();

        const page = await tab(context, { worker, consent: { storage: false } });
        assert.deepEqual([await profile(page), await log(page)], [[], []], 'the device is not read');
        await like(page, '3');
        ids.push((await slate(page)).id, (await slate(page)).id);
        await page.evaluate(() => window.rec.profile.import([{ id: 'i', item: '4', type: 'like', time: 1e12 }]));
        await like(page, '5');
        const mine = await log(page);
        await Promise.all([allow(page, { storage: true }), like(page, '6')]);
        assert.equal(new Set(ids).size, 4, 'slates of both visits have names of their own');
        for (const visit of [0, 1]) {
          assert.deepEqual(await profile(page), ['1', '2', '4', '5', '6'], `visit ${visit}`);
          assert.deepEqual((await log(page)).slice(0, -1), [...lines, ...mine]);
          assert.equal(await unit(page), first);
          if (visit === 0) await next(page, { worker });
          assert.equal((await log(page)).at(-1).item, '6');
        }
        // The slate is that of a visitor who did all of it in one visit.
        const whole = await tab(context, { worker, storage: 'memory' });
        const events = await page.evaluate(() => window.rec.profile.export());
        await whole.evaluate((events) => window.rec.profile.import(events), events);
        assert.deepEqual((await slate(page)).items, (await slate(whole)).items);
        await context.close();
      });

      test('consent withdrawn erases the device and goes on in memory, in all tabs', async () => {
        const context = await chrome.newContext();
        const [one, two] = [await tab(context, { worker }), await tab(context, { worker: !worker })];
        for (const [page, item] of [
          [one, '1'],
          [two, '2'],
          [one, '3'],
        ])
          await like(page, item);
        const given = await arm(one);
        assert.equal(await arm(two), given);
        await slate(one);
        await one.waitForFunction(async () => (await window.rec.profile.get()).length === 3);
        await two.waitForFunction(async () => (await window.rec.profile.get()).length === 3);
        const before = await log(one);
        assert.deepEqual(await kept(context), ALL);
        const off = { storage: false, profiling: true };
        assert.equal(await allow(one, { storage: false }), 'done');
        await heard(two, off);
        await two.waitForFunction(async () => (await indexedDB.databases()).length === 0);
        assert.deepEqual(await kept(context), NOTHING);
        for (const page of [one, two]) {
          const said = await features(page);
          assert.deepEqual([said.storage, said.storageError, said.consent], ['memory', undefined, off]);
          assert.deepEqual((await profile(page)).sort(), ['1', '2', '3']);
          assert.deepEqual(await log(page), before);
          await like(page, '9');
          assert.equal((await slate(page)).items.length, 5);
          assert.equal(await arm(page), given, 'an arm stays for the visit');
        }
        assert.equal((await profile(one)).length, 4, 'tabs no longer share');
        assert.deepEqual(await kept(context), NOTHING);
        // Both may allow it again: what both have is there once.
        for (const page of [one, two]) assert.equal(await allow(page, { storage: true }), 'done');
        assert.deepEqual((await profile(two)).sort(), ['1', '2', '3', '9', '9']);
        const all = await log(two);
        assert.equal(all.length, before.length + 4);
        const slates = all.filter((line) => line.slots).map((line) => line.slate);
        assert.equal(new Set(slates).size, slates.length);
        await two.evaluate(() => window.rec.setConsent({ storage: false }));
        await heard(one, off);
        await one.waitForFunction(async () => (await indexedDB.databases()).length === 0);
        await next(one, { worker, consent: { storage: false } });
        assert.deepEqual([await profile(one), await log(one), await kept(context)], [[], [], NOTHING]);
        assert.deepEqual([...one.messages, ...two.messages], []);
        await context.close();
      });

      test('without profiling a visitor is always a new one, and nothing is kept', async () => {
        const context = await chrome.newContext();
        const page = await tab(context, { worker, consent: { profiling: false } });
        const explore = { policy: 'thompson', ignored: 2, seed: 7, decision: 'd' };
        const expected = await slate(page, { explore });
        const event = await like(page, '50');
        assert.deepEqual([event.item, event.type, typeof event.id], ['50', 'like', 'string']);
        const refused = await page.evaluate(() => window.rec.record({ item: '' }).catch((error) => error.code));
        assert.equal(refused, 'argument', 'events are checked');
        await page.evaluate(() => window.rec.profile.import([{ item: '7', type: 'hide' }]));
        await page.evaluate(() => window.rec.record({ id: 'same', item: '1' }));
        await page.evaluate(() => window.rec.record({ id: 'same', item: '1' }));
        const held = await page.evaluate(async () => {
          const { id } = await window.rec.recommend({ hold: true });
          return window.rec.shown(id);
        });
        assert.equal(held, false);
        assert.equal(await arm(page), await arm(page), 'an arm stays for the visit');
        assert.deepEqual((await slate(page, { explore })).items, expected.items);
        assert.deepEqual([await profile(page), await log(page)], [[], []]);
        assert.deepEqual((await features(page)).consent, { storage: true, profiling: false });
        assert.deepEqual(await kept(context), [[], ['foretaste']], 'files may be kept');

        assert.equal(await allow(page, { profiling: true }), 'done');
        await like(page, '50');
        const liked = await slate(page, { explore });
        assert.notDeepEqual(liked.items, expected.items);
        await arm(page);
        const other = await tab(context, { worker });
        assert.deepEqual(await profile(other), ['50']);
        const id = await page.evaluate(async () => (await window.rec.recommend({ hold: true })).id);
        assert.equal(await allow(page, { profiling: false }), 'done');
        await heard(other, { storage: true, profiling: false });
        for (const one of [page, other]) {
          await like(one, '7');
          assert.deepEqual([await profile(one), await log(one)], [[], []]);
          assert.deepEqual((await slate(one, { explore })).items, expected.items);
        }
        assert.equal(await page.evaluate((id) => window.rec.shown(id), id), false, 'held slates are forgotten');
        await page.waitForFunction(async () => (await indexedDB.databases()).length === 0);
        await next(page, { worker });
        assert.deepEqual([await profile(page), await log(page)], [[], []]);
        await context.close();
      });
    });
  }

  test('an earlier visit stays, unread, until the visitor says no', async () => {
    const context = await chrome.newContext();
    const page = await tab(context, {});
    await like(page, '1');
    for (const consent of [{ storage: false }, { profiling: false }]) {
      await next(page, { consent });
      assert.deepEqual([await profile(page), await log(page)], [[], []]);
      await next(page, {});
      assert.deepEqual(await profile(page), ['1']);
    }
    for (const consent of [{ storage: false }, { profiling: false }]) {
      await next(page, {});
      await like(page, '2');
      const other = await tab(context, { worker: true });
      await next(page, { storage: 'memory', consent });
      await like(page, '9');
      assert.equal(await allow(page, consent), 'done');
      await heard(other, { storage: true, profiling: true, ...consent });
      await page.waitForFunction(async () => (await indexedDB.databases()).length === 0);
      assert.ok(
        (await profile(other)).every((item) => item === '2' || item === '1'),
        'of a visit in memory nobody hears',
      );
      await next(page, {});
      assert.deepEqual(await profile(page), []);
      await other.close();
    }
    await context.close();
  });

  test('one namespace is erased and others stay; the last one takes the database with it', async () => {
    const context = await chrome.newContext();
    const [one, two] = [await tab(context, { namespace: 'one' }), await tab(context, { namespace: 'two' })];
    await like(one, '1');
    await like(two, '2');
    assert.equal(await allow(one, { storage: false }), 'done');
    assert.deepEqual((await kept(context))[0], ['foretaste']);
    await like(two, '3');
    await next(two, { namespace: 'two' });
    assert.deepEqual(await profile(two), ['2', '3']);
    assert.equal(await allow(one, { storage: true }), 'done');
    await two.evaluate(() => window.rec.profile.clear());
    await one.evaluate(() => window.rec.profile.clear());
    // The database is empty, and is deleted while the second tab has it open.
    assert.equal(await allow(one, { storage: false }), 'done');
    await like(two, '5');
    await slate(two);
    await two.waitForFunction(() => window.rec.features().storage === 'indexeddb');
    await next(two, { namespace: 'two' });
    assert.deepEqual([await profile(two), await short(two)], [['5'], ['5', 5]]);
    assert.equal(await allow(one, { storage: true }), 'done');
    await two.evaluate(() => window.rec.profile.clear());
    // Now the database is empty, except for what the second tab is about to write.
    await one.evaluate(() => window.rec.profile.clear());
    const writing = two.evaluate(async () => {
      for (let i = 0; i < 200; i++) await window.rec.record({ id: `e${i}`, item: '4', type: 'view' });
    });
    for (let i = 0; i < 5; i++) {
      assert.equal(await allow(one, { storage: false }), 'done');
      assert.equal(await allow(one, { storage: true }), 'done');
    }
    await writing;
    // The last deletion may still be followed by the move to a new database.
    await two.waitForFunction(() => window.rec.features().storage === 'indexeddb');
    assert.equal((await features(two)).storageError, undefined);
    assert.equal((await profile(two)).length, 200);
    await next(two, { namespace: 'two' });
    assert.equal((await profile(two)).length, 200, 'a database that another page deletes is made anew');
    assert.equal((await log(two)).length, 200);
    for (const page of [one, two]) assert.equal(await allow(page, { storage: false }), 'done');
    assert.deepEqual(await kept(context), NOTHING);
    await context.close();
  });

  test('consent that is given again at once is not undone by a tab that hears late', async () => {
    const context = await chrome.newContext();
    const [one, two] = [await tab(context, {}), await tab(context, {})];
    await like(one, '1');
    await two.waitForFunction(async () => (await window.rec.profile.get()).length === 1);
    // With another namespace the database stays.
    await like(await tab(context, { namespace: 'other' }), '0');
    await new Promise((done) => setTimeout(done, 1200));
    // The second tab is busy and hears nothing.
    const busy = two.evaluate(() => {
      const end = performance.now() + 2000;
      while (performance.now() < end);
    });
    await new Promise((done) => setTimeout(done, 100));
    const withdrawn = allow(one, { storage: false });
    const again = allow(one, { storage: true });
    await like(one, '2');
    await busy;
    assert.deepEqual([await withdrawn, await again], ['done', 'done']);
    await heard(two, { storage: false, profiling: true });
    await like(one, '3');
    await next(one, {});
    assert.deepEqual(await profile(one), ['1', '2', '3']);
    await context.close();
  });

  test('loads share a bundle only if they may keep what it keeps', async () => {
    const context = await chrome.newContext();
    for (const worker of [false, true]) {
      const page = await tab(context);
      const seen = await page.evaluate(async (worker) => {
        const { load } = await import('/package/index.js');
        const open = (consent) => load('/bundle/', { storage: 'indexeddb', worker, ...(consent && { consent }) });
        const says = ({ features }) => [features().storage, features().consent.storage];
        const first = await open({ storage: false });
        const given = first.setConsent({ storage: true });
        // Before the promise settles, too.
        const [strict] = await Promise.all([open({ storage: false }), given]);
        await strict.record({ item: '1' });
        const [sharing, again] = [await open(), await open({ storage: false })];
        await sharing.record({ item: '2' });
        const profiles = await Promise.all([first, sharing, strict, again].map((rec) => rec.profile.get()));
        const states = [first, strict, sharing].map(says);
        await first.setConsent({ storage: false });
        const late = await open();
        states.push(says(late));
        const all = [first, strict, sharing, again, late];
        all.forEach((rec) => rec.dispose());
        return { states, profiles: profiles.map((events) => events.map(({ item }) => item).join()) };
      }, worker);
      const [keeps, not] = [
        ['indexeddb', true],
        ['memory', false],
      ];
      assert.deepEqual(seen, { states: [keeps, not, keeps, not], profiles: ['2', '2', '1', '1'] });
      assert.deepEqual((await kept(context))[0], []);
      await page.close();
    }
    await context.close();
  });

  test('tabs that recommend at once give their slates names of their own', async () => {
    const context = await chrome.newContext();
    const tabs = [await tab(context, {}), await tab(context, {}), await tab(context, { worker: true })];
    const ids = await Promise.all(
      tabs.map((page) =>
        page.evaluate(async () => {
          const slates = Array.from({ length: 20 }, () => window.rec.recommend({ k: 2 }));
          return (await Promise.all(slates)).map(({ id }) => id);
        }),
      ),
    );
    assert.equal(new Set(ids.flat()).size, 60);
    await context.close();
  });

  test('a device that takes or erases nothing: typed, and nothing is lost', async () => {
    for (const worker of [false, true]) {
      const context = await chrome.newContext();
      const later = await tab(context);
      const newest = () =>
        later.evaluate(async () => {
          const database = await new Promise((resolve, reject) => {
            const request = indexedDB.open('foretaste', 9);
            request.onupgradeneeded = () => request.result.createObjectStore('later').put('kept', 'key');
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          });
          const request = database.transaction('later').objectStore('later').get('key');
          await new Promise((done) => (request.onsuccess = done));
          database.close();
          return request.result;
        });
      assert.equal(await newest(), 'kept');
      const page = await tab(context, { worker, consent: { storage: false } });
      await like(page, '1');
      await slate(page);
      assert.equal(await allow(page, { storage: true }), 'done');
      const said = await features(page);
      assert.deepEqual([said.storage, said.consent.storage], ['memory', true]);
      assert.match(said.storageError, /VersionError/);
      assert.deepEqual([await profile(page), await short(page)], [['1'], ['1', 5]]);
      assert.equal(await allow(page, { storage: false }), 'ForetasteError storage');
      assert.deepEqual((await features(page)).consent, { storage: false, profiling: true }, 'what was said holds');
      assert.equal(await allow(page, { profiling: false }), 'ForetasteError storage');
      assert.deepEqual([await profile(page), await log(page)], [[], []]);
      assert.equal(await newest(), 'kept', 'nothing is destroyed');
      await context.close();
    }
    // A full disk; a database that fails to erase.
    const context = await chrome.newContext();
    const page = await tab(context, { consent: { storage: false } });
    await like(page, '1');
    const mine = await log(page);
    await page.evaluate(() => {
      window.put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    });
    assert.equal(await allow(page, { storage: true }), 'done');
    assert.match((await features(page)).storageError, /QuotaExceeded/);
    await like(page, '2');
    assert.deepEqual([await profile(page), (await log(page)).slice(0, 1)], [['1', '2'], mine]);
    await page.evaluate(() => (IDBObjectStore.prototype.put = window.put));
    assert.equal(await allow(page, { storage: true }), 'done', 'a second try');
    assert.equal((await features(page)).storageError, undefined);
    await page.evaluate(() => {
      window.remove = IDBObjectStore.prototype.delete;
      IDBObjectStore.prototype.delete = () => {
        throw new DOMException('no', 'UnknownError');
      };
    });
    const cleared = () =>
      page.evaluate(() =>
        window.rec.profile.clear().then(
          () => 'done',
          ({ code }) => code,
        ),
      );
    assert.equal(await cleared(), 'storage');
    assert.equal(await allow(page, { storage: false }), 'ForetasteError storage');
    await page.evaluate(() => (IDBObjectStore.prototype.delete = window.remove));
    assert.equal(await allow(page, { storage: false }), 'done', 'a second try');
    assert.deepEqual((await kept(context))[0], []);
    await context.close();
    // IndexedDB is denied.
    const strict = await chrome.newContext();
    await strict.addInitScript(() => {
      IDBFactory.prototype.open = () => {
        throw new DOMException('denied', 'SecurityError');
      };
    });
    const denied = await tab(strict, { consent: { storage: false } });
    await like(denied, '1');
    assert.equal(await allow(denied, { storage: true }), 'done');
    assert.match((await features(denied)).storageError, /SecurityError/);
    assert.deepEqual(await profile(denied), ['1']);
    await strict.close();
  });

  test('a trap at any step loses neither events nor consent', async () => {
    const context = await chrome.newContext();
    await context.addInitScript(`window.traps = (${trapping})()`);
    const page = await tab(context, { consent: { storage: false } });
    const trap = async (name) => {
      await page.evaluate((name) => (window.traps.next = name), name);
      return page.evaluate(() => window.rec.find('').catch(({ code }) => code));
    };
    await like(page, '1');
    assert.equal(await trap('core_find'), 'trap');
    const { id } = await slate(page);
    assert.equal(await allow(page, { storage: true }), 'done');
    assert.equal(await trap('core_find'), 'trap');
    assert.deepEqual([await profile(page), await short(page)], [['1'], ['1', 5]]);
    assert.notEqual((await slate(page)).id, id);
    await page.evaluate(() => (window.traps.next = 'core_importProfile'));
    assert.equal(await allow(page, { storage: false }), 'done');
    assert.equal(await page.evaluate(() => window.rec.setConsent({ storage: true }).catch(({ code }) => code)), 'trap');
    assert.deepEqual([await profile(page), await short(page), (await features(page)).storage], [['1'], ['1', 5, 5], 'indexeddb']);
    assert.equal(await allow(page, { profiling: false }), 'done');
    assert.equal(await trap('core_find'), 'trap');
    const fresh = await slate(page);
    assert.deepEqual([await profile(page), await log(page), (await slate(page)).items], [[], [], fresh.items]);
    assert.deepEqual((await kept(context))[0], []);
    await context.close();
  });
});
