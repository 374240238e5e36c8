// What the device keeps after a page is gone, in real tabs.
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

  /** A tab with a recommender in `window.rec`. */
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

  test('the experiment id: one for all tabs, workers and visits, until it is erased', async () => {
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

  /** The log in short: the item of an event, the arm of an assignment, the items of a slate. */
  const lines = (page) =>
    page.evaluate(async () => {
      const lines = (await window.rec.exportLog())
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
      return lines.map(({ item, arm, slots }) => item ?? arm ?? slots.map((slot) => slot.item).join());
    });
  const like = (page, item) => page.evaluate((item) => window.rec.record({ item, type: 'like' }), item);

  /** Records and recommends the same in any recommender; returns the last slate. */
  const visit = (page, part) =>
    page.evaluate(async (part) => {
      const show = async (decision, policy) => {
        const explore = { policy, ignored: 2, seed: 7, decision };
        const { items } = await window.rec.recommend({ k: 5, time: 1e12, tz_offset_min: 0, explore });
        return items.map((item) => [item.id, item.score, item.propensity]);
      };
      if (part === 'first') {
        await window.rec.record({ item: '50', type: 'like', time: null, tz_offset_min: null });
        await show('a', 'greedy');
        await window.rec.record({ item: '7', type: 'hide', time: null, tz_offset_min: null });
      }
      return show(part, part === 'last' ? 'ucb' : 'thompson');
    }, part);

  test('the log: a reload changes no slate', async () => {
    const context = await chrome.newContext();
    const parts = ['first', 'second', 'last'];
    const memory = await tab(context, { storage: 'memory' });
    const expected = [];
    for (const part of parts) expected.push(await visit(memory, part));
    for (const worker of [false, true]) {
      const kept = await tab(context, { namespace: `worker ${worker}`, worker });
      const slates = [];
      for (const part of parts) {
        slates.push(await visit(kept, part));
        const before = await lines(kept);
        await kept.reload();
        await reopened(kept, { namespace: `worker ${worker}`, worker });
        assert.deepEqual(await lines(kept), before);
        assert.equal(await kept.evaluate(async () => (await window.rec.profile.get()).length), 2, 'nothing is there twice');
      }
      parts.forEach((part, i) => assert.deepEqual(slates[i], expected[i], `${part} ${worker}`));
      assert.deepEqual(await lines(kept), await lines(memory));
    }
    // Ignored items matter here: with the profile alone the slate is different.
    const alone = await tab(context, { storage: 'memory' });
    const profile = await memory.evaluate(() => window.rec.profile.export());
    await alone.evaluate((profile) => window.rec.profile.import(profile), profile);
    assert.notDeepEqual(await visit(alone, 'second'), expected[1]);
    await context.close();
  });

  test('the log: two tabs share one, the next visit continues it, and clearing erases it for all', async () => {
    const context = await chrome.newContext();
    const [one, two] = [await tab(context), await tab(context, { worker: true })];
    for (const [page, item] of [
      [one, '1'],
      [two, '2'],
      [two, '3'],
      [one, '4'],
    ])
      await like(page, item);
    await one.evaluate(() => Promise.all(['5', '6', '7'].map((item) => window.rec.record({ item, type: 'view' }))));
    assert.deepEqual(await lines(one), ['1', '2', '3', '4', '5', '6', '7']);
    assert.deepEqual(await lines(two), await lines(one));
    const arm = (page) => page.evaluate(() => window.rec.assign({ name: 'e', arms: { a: 1, b: 1 } }));
    const given = await arm(one);
    const ids = [await one.evaluate(async () => (await window.rec.recommend({ k: 1 })).id)];
    await one.reload();
    await reopened(one);
    assert.equal(await arm(one), given);
    ids.push(await one.evaluate(async () => (await window.rec.recommend({ k: 1 })).id));
    assert.notEqual(ids[0], ids[1], 'decision ids continue');
    const all = await lines(two);
    assert.deepEqual([all.length, all[7]], [10, given], 'the arm is written once');
    await like(await tab(context, { namespace: 'other' }), '9');
    await two.evaluate(() => window.rec.profile.clear());
    assert.deepEqual([await lines(one), await lines(two), await lines(await tab(context))], [[], [], []]);
    await one.waitForFunction(async () => (await window.rec.profile.get()).length === 0);
    await like(one, '8');
    assert.deepEqual(await lines(two), ['8']);
    assert.deepEqual(await lines(await tab(context, { namespace: 'other' })), ['9']);
    await context.close();
  });

  /** A tab that makes a database of version 1 with events. It stays open as `window.old`. */
  async function oldTab(context, events) {
    const page = await context.newPage();
    await page.goto(`${server.address}empty.html`);
    await page.evaluate(async (events) => {
      window.old = await new Promise((resolve, reject) => {
        const request = indexedDB.open('foretaste', 1);
        request.onupgradeneeded = () => {
          request.result.createObjectStore('profiles').put(events, 'default');
        };
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    }, events);
    return page;
  }

  test('a database of version 1 is upgraded, and a tab that holds it open blocks nothing', async () => {
    const context = await chrome.newContext();
    const events = [{ id: 'e', item: '7', type: 'like', time: 1000 }];
    const page = await oldTab(context, events);
    const blocked = await tab(context);
    const features = await blocked.evaluate(() => window.rec.features());
    assert.equal(features.storage, 'memory');
    assert.match(features.storageError, /older version/);
    await page.evaluate(() => window.old.close());
    await blocked.reload();
    await reopened(blocked);
    assert.deepEqual(await blocked.evaluate(() => window.rec.profile.get()), events);
    assert.equal(await blocked.evaluate(() => window.rec.features().storageError), undefined);
    await like(blocked, '8');
    assert.deepEqual(await lines(blocked), ['8']);
    await context.close();
  });

  test('databases of earlier versions keep events, log and id, with and without consent', async () => {
    for (const version of [1, 2]) {
      for (const storage of [true, false]) {
        const context = await chrome.newContext();
        const page = await context.newPage();
        await page.goto(`${server.address}empty.html`);
        await page.evaluate(async (version) => {
          const database = await new Promise((resolve) => {
            const request = indexedDB.open('foretaste', version);
            request.onupgradeneeded = () => {
              const profiles = request.result.createObjectStore('profiles');
              // As the first pages with each version wrote it: no line was marked as an event of the profile.
              profiles.put([{ id: 'a', item: '7', type: 'like', time: 1000 }], 'default');
              profiles.put('the unit', ['default', 'unit']);
              if (version === 1) return;
              const log = request.result.createObjectStore('log', { autoIncrement: true });
              log.createIndex('namespace', 'namespace');
              log.put({ namespace: 'default', line: '{"id":"a","item":"7","type":"like","time":1000}' });
              log.put({ namespace: 'other', line: '{"id":"b","item":"8","type":"like","time":1000}' });
            };
            request.onsuccess = () => resolve(request.result);
          });
          database.close();
        }, version);
        await reopened(page, { consent: { storage } });
        await like(page, '9');
        await page.evaluate(() => window.rec.setConsent({ storage: true }));
        await page.evaluate(() => window.rec.assign({ name: 'e', arms: { a: 1, b: 1 } }));
        for (let visit = 0; visit < 2; visit++) {
          assert.deepEqual(await profile(page), ['7', '9'], `version ${version}, visit ${visit}`);
          const [log, unit] = await page.evaluate(async () => {
            const lines = (await window.rec.exportLog()).trim().split('\n');
            return [lines.length, JSON.parse(lines.at(-1)).unit];
          });
          assert.deepEqual([log, unit], [version + 1, 'the unit']);
          await page.reload();
          await reopened(page);
        }
        await context.close();
      }
    }
  });

  test('with a later version or a full disk the page continues in memory and reports it', async () => {
    const context = await chrome.newContext();
    const page = await tab(context);
    await like(page, '1');
    const seen = async () => {
      await like(page, '2');
      const items = await page.evaluate(async () => (await window.rec.recommend({ k: 3 })).items.length);
      const arm = await page.evaluate(() => window.rec.assign({ name: 'e', arms: { a: 1, b: 1 } }));
      return [
        items,
        arm.length,
        (await lines(page)).length,
        (await page.evaluate(() => window.rec.features().storageError)) ?? '',
      ];
    };
    await page.evaluate(() => {
      window.put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    });
    const [items, arm, count, error] = await seen();
    assert.deepEqual([items, arm, count], [3, 1, 4]);
    assert.match(error, /QuotaExceeded/);
    await page.evaluate(() => (IDBObjectStore.prototype.put = window.put));
    await page.reload();
    await reopened(page);
    assert.deepEqual(await lines(page), ['1'], 'what was kept before is there');
    // A worker, like a page, lets a later version upgrade.
    const worker = await tab(context, { worker: true });
    await worker.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open('foretaste', 3);
          request.onsuccess = () => resolve(request.result.close());
          request.onblocked = () => reject(new Error('blocked'));
        }),
    );
    for (const tab of [page, worker]) {
      await like(tab, '3');
      assert.equal(await tab.evaluate(async () => (await window.rec.recommend({ k: 3 })).items.length), 3);
      assert.match(await tab.evaluate(() => window.rec.features().storageError), /InvalidState/);
    }
    await context.close();
  });

  /** Changes what is stored by `change(profiles, log)`, in a page of the context. */
  async function changeStored(context, change) {
    const page = await context.newPage();
    await page.goto(`${server.address}empty.html`);
    await page.evaluate(`(async () => {
      const database = await new Promise(
        (resolve) => (indexedDB.open('foretaste').onsuccess = ({ target }) => resolve(target.result)),
      );
      const transaction = database.transaction(['profiles', 'log'], 'readwrite');
      (${change})(transaction.objectStore('profiles'), transaction.objectStore('log'));
      await new Promise((resolve) => (transaction.oncomplete = resolve));
      database.close();
    })()`);
    await page.close();
  }
  const profile = (page) => page.evaluate(async () => (await window.rec.profile.get()).map(({ item }) => item));
  const setAside = (page) => page.evaluate(() => window.rec.features().setAside);

  /** Has writes of a page fail, as `ways` say one after the other; an empty way is a write that works. */
  const failing = (page, ...ways) =>
    page.evaluate((ways) => {
      window.put ??= IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (...args) {
        const way = ways.shift();
        if (way === 'throws') throw new DOMException('full', 'QuotaExceededError');
        const request = window.put.apply(this, args);
        if (way === 'aborts') this.transaction.abort();
        return request;
      };
    }, ways);
  const storageError = (page) => page.evaluate(() => window.rec.features().storageError);
  /** Records some items in one task. */
  const likeAll = (page, ...items) =>
    page.evaluate((items) => Promise.all(items.map((item) => window.rec.record({ item, type: 'like' }))), items);

  test('a line that could not be written is written with the next one, before it and once', async () => {
    for (const way of ['throws', 'aborts']) {
      const context = await chrome.newContext();
      const [page, other] = [await tab(context), await tab(context)];
      await like(page, '1');
      await failing(page, way);
      await like(page, '2');
      assert.ok(await storageError(page), way);
      assert.deepEqual([await lines(page), await lines(other)], [['1', '2'], ['1']], `${way}: here, but not on the device`);
      await like(page, '3');
      assert.equal(await storageError(page), undefined, `${way}: nothing is lost`);
      assert.deepEqual(await lines(other), ['1', '2', '3']);
      await other.waitForFunction(async () => (await window.rec.profile.get()).length === 3);
      // The second of three lines of one transaction: all of them fail.
      await failing(page, '', way);
      await likeAll(page, '4', '5', '6');
      assert.ok(await storageError(page), way);
      assert.deepEqual(await lines(other), ['1', '2', '3']);
      // The next transaction, which has them too, fails as well.
      await failing(page, way);
      await like(page, '7');
      await failing(page);
      await like(page, '8');
      const all = ['1', '2', '3', '4', '5', '6', '7', '8'];
      assert.deepEqual([await lines(page), await lines(other)], [all, all], way);
      assert.equal(await storageError(page), undefined);
      assert.deepEqual(await profile(await tab(context)), all);
      await context.close();
    }
  });

  test('a line that could not be written does not bring back what the visitor has taken away', async () => {
    const context = await chrome.newContext();
    const [page, other] = [await tab(context), await tab(context)];
    const failed = async (item) => {
      await failing(page, 'throws');
      await like(page, item);
      await failing(page);
    };
    await failed('1');
    await page.evaluate(async () => window.rec.profile.remove((await window.rec.profile.get())[0].id));
    await like(page, '2');
    assert.deepEqual([await profile(page), await profile(await tab(context))], [['2'], ['2']], 'removed');
    await failed('3');
    await page.evaluate(() => window.rec.profile.import([{ item: '4', type: 'view' }]));
    await like(page, '5');
    assert.deepEqual(await profile(await tab(context)), ['4', '5'], 'another profile');
    assert.deepEqual(await lines(other), ['1', '2', '3', '5'], 'the log has all lines');
    for (const [tab, name] of [
      [page, 'here'],
      [other, 'in another tab'],
    ]) {
      await failed('6');
      await tab.evaluate(() => window.rec.profile.clear());
      await page.waitForFunction(async () => (await window.rec.profile.get()).length === 0);
      assert.deepEqual([await lines(page), await storageError(page)], [[], undefined], name);
      await like(page, '7');
      assert.deepEqual(await lines(other), ['7'], name);
    }
    await failed('8');
    await page.evaluate(() => window.rec.setConsent({ storage: false }));
    assert.deepEqual(await lines(page), ['7', '8'], 'consent withdrawn');
    await like(page, '9');
    assert.deepEqual(await lines(await tab(context)), []);
    await context.close();
  });

  test('one unreadable event is set aside, and the others are there', async () => {
    for (const worker of [false, true]) {
      const context = await chrome.newContext();
      const page = await tab(context, { worker });
      await page.evaluate(() => window.rec.profile.import(['1', '2', '3'].map((item) => ({ id: item, item, type: 'view' }))));
      await like(page, '4');
      await changeStored(context, (profiles) => {
        const bad = [
          7,
          null,
          'x',
          { item: '5', type: 'view' },
          { id: 'n', item: 6, type: 'view' },
          { id: 'd', item: '7', type: 'view', time: new Date() },
        ];
        const strange = [
          { id: 't', item: '8', type: 'view', time: 1.7e18 },
          { id: 'k', item: '9', type: 'view', later: 1 },
        ];
        profiles.get('default').onsuccess = ({ target }) =>
          profiles.put([...target.result, ...bad, ...strange, { id: '1', item: 'twice', type: 'view' }], 'default');
      });
      for (let visit = 0; visit < 2; visit++) {
        await page.reload();
        await reopened(page, { worker });
        assert.deepEqual(await profile(page), ['1', '2', '3', '4'], `visit ${visit}`);
        assert.equal(await setAside(page), 8);
      }
      await page.evaluate(() => window.rec.profile.remove('2'));
      await like(page, '5');
      assert.deepEqual(await profile(await tab(context, { worker })), ['1', '3', '4', '5']);
      // A later version that can read some of them has them again.
      await changeStored(context, (profiles) => {
        profiles.get(['default', 'aside']).onsuccess = ({ target }) => {
          if (target.result.length !== 8) throw new Error('they are not kept');
          target.result.at(-1).later = undefined;
          profiles.put(target.result, ['default', 'aside']);
        };
      });
      const later = await tab(context, { worker });
      assert.deepEqual([await profile(later), await setAside(later)], [['9', '1', '3', '4', '5'], 7]);
      await later.evaluate(() => window.rec.profile.clear());
      assert.equal(await setAside(later), 0);
      await context.close();
    }
  });

  test('a profile that is none, and lines that a later version wrote, stay as they are', async () => {
    const context = await chrome.newContext();
    const page = await tab(context);
    await like(page, '1');
    await changeStored(context, (profiles, log) => {
      profiles.put({ not: 'a list' }, 'default');
      const strange = [
        '{"type":"view","item":5}',
        '{"type":"impression","slots":[{"item":5}]}',
        '{"type":"later","of":{}}',
        '["later"]',
        'null',
        '[',
      ];
      for (const line of [...strange, '{"type":"assignment","experiment":"e"}', '{"item":"\\ud800"}'])
        log.put({ namespace: 'default', line });
      for (const line of [5, { a: 1 }, undefined]) log.put({ namespace: 'default', line });
      for (let i = 0; i < 3000; i++) log.put({ namespace: 'default', line: '{"type":"impression","slots":[{"item":5}]}' });
    });
    await page.reload();
    await reopened(page);
    assert.deepEqual(await profile(page), ['1']);
    assert.equal(await setAside(page), 1 + 8 + 3000);
    const text = await page.evaluate(() => window.rec.exportLog());
    assert.ok(text.includes('\n{"type":"later","of":{}}\n') && text.includes('\n[\n'), 'exported as they are');
    assert.equal(text.split('\n').length - 1, 1 + 8 + 3000);
    assert.equal(await page.evaluate(async () => (await window.rec.recommend({ k: 3 })).items.length), 3);
    await like(page, '2');
    assert.deepEqual(await profile(await tab(context)), ['1', '2']);
    await context.close();
  });

  test('two tabs that record one event keep one', async () => {
    const context = await chrome.newContext();
    const [one, two] = [await tab(context), await tab(context, { worker: true })];
    const record = (page) => page.evaluate(() => window.rec.record({ id: 'same', item: '1' }).catch((error) => error.code));
    await Promise.all([record(one), record(two)]);
    await one.waitForFunction(async () => (await window.rec.profile.get()).length === 1);
    assert.deepEqual(await profile(await tab(context)), ['1']);
    assert.equal(await record(one), 'argument');
    await context.close();
  });

  test('many records: events and lines of several visits and tabs come together', async () => {
    const context = await chrome.newContext();
    const page = await tab(context);
    const other = await tab(context);
    const record = (page, count, start) =>
      page.evaluate(
        async ([count, start]) => {
          const calls = [];
          for (let i = 0; i < count; i++) calls.push(window.rec.record({ id: `e${start + i}`, item: `${i % 60}`, type: 'view' }));
          await Promise.all(calls);
        },
        [count, start],
      );
    await record(page, 300, 0);
    await record(other, 5, 300);
    await page.reload();
    await reopened(page);
    await record(page, 300, 305);
    const ids = (page) => page.evaluate(async () => (await window.rec.profile.get()).map(({ id }) => id));
    const cap = await page.evaluate(async () => (await window.rec.info()).encoding.history.cap);
    const expected = Array.from({ length: 605 }, (_, i) => `e${i}`).slice(-cap);
    assert.deepEqual(await ids(page), expected);
    assert.deepEqual(await ids(await tab(context)), expected);
    assert.equal((await lines(page)).length, 605);
    await context.close();
  });

  test('keeps the last 20,000 lines', async () => {
    const context = await chrome.newContext();
    const page = await tab(context);
    const stored = (fill) =>
      page.evaluate(async (fill) => {
        const database = await new Promise(
          (resolve) => (indexedDB.open('foretaste').onsuccess = ({ target }) => resolve(target.result)),
        );
        const transaction = database.transaction('log', 'readwrite');
        const log = transaction.objectStore('log');
        for (let i = 1; i <= fill; i++)
          log.put({ namespace: 'default', line: JSON.stringify({ item: String(i), type: 'view' }) });
        const count = log.count();
        await new Promise((resolve) => (transaction.oncomplete = resolve));
        database.close();
        return count.result;
      }, fill);
    assert.equal(await stored(20_000), 20_000);
    await page.reload();
    await reopened(page);
    await like(page, 'a');
    await like(page, 'b');
    const all = await lines(page);
    assert.deepEqual([all.length, all[0], ...all.slice(-2)], [20_000, '3', 'a', 'b']);
    assert.equal(await page.evaluate(async () => (await window.rec.recommend({ k: 3 })).items.length), 3);
    await page.evaluate(() =>
      Promise.all(Array.from({ length: 260 }, (_, i) => window.rec.record({ item: `c${i}`, type: 'view' }))),
    );
    const count = await stored(0);
    assert.ok(count >= 20_000 && count < 20_256, `older lines leave: ${count}`);
    await page.evaluate(() => window.rec.profile.clear());
    assert.equal(await stored(0), 0);
    await context.close();
  });
});
