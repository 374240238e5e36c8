// Not one value of a feature may differ between the trainer and a page: all users of generated data in Node, some of
// them and the planted faults in Chromium, before and after a reload.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { load } from '../dist/package/slim.js';
import { readingFeatures, replayed, reread, taken, takenInPage } from './replays.mjs';
import { browser, foretaste, join, serve, site, TINY_SETTINGS, temporary, watchedPage, writeFileSync } from './support.mjs';

/** Features of each kind, beside the columns that the bundle reads. */
const FEATURES = `
[features.likes]
of = "user"
count = true
[features.rating]
of = "user"
mean = true
window = "7 events"
[features.by_category]
of = "user.category"
decay = "3d"
[features.tag_share]
of = "user.tags"
rate = true
types = ["rate"]
window = "30d"
[features.since_tag]
of = "user.tags"
since = true
[features.day]
cyclic = "day"
`;

describe('a page reads what the trainer reads', () => {
  let ways, bundle;
  before(() => {
    const [data, settings, run, made] = ['data', 'settings.toml', 'run', 'bundle'].map((name) => join(temporary(), name));
    foretaste('data', 'get', 'synthetic', '--users', 100, '--items', 60, '--events', 3000, '--seed', 3, '--to', data);
    // What a visitor's values are made of is in the encoding and the catalog.
    writeFileSync(settings, `${readFileSync(TINY_SETTINGS, 'utf8')}\nmax_epochs = 1\n`);
    foretaste('train', '--data', data, '--config', settings, '--out', run, '--quiet');
    foretaste('export', '--run', run, '--out', made);
    const file = join(data, 'data.toml');
    writeFileSync(file, readFileSync(file, 'utf8') + FEATURES);
    const replay = replayed(made, data, 3);
    ways = replay.ways;
    bundle = readingFeatures(made, replay.ranker);
  });

  test('in Node, all users and planted faults', async () => {
    const rec = await load(pathToFileURL(`${bundle}/`), { namespace: 'replay' });
    let [moments, values] = [0, 0];
    for (const way of ways) {
      const found = await taken(rec, way);
      assert.deepEqual(found.differences, []);
      moments += found.moments;
      values += found.values;
    }
    assert.ok(ways.length === 105 && moments > 900 && values > 20_000, `${ways.length} ${moments} ${values}`);
    // The test can fail: an event less.
    const long = ways.find(({ steps }) => steps.length > 20);
    const short = { ...long, steps: long.steps.map((step, i) => (i === 0 ? { asked: step.asked } : step)) };
    assert.ok((await taken(rec, short)).differences.length > 0);
  });

  describe('in Chromium', () => {
    let chrome, server, page;
    const open = () =>
      page.evaluate(async () => {
        const { load } = await import('/package/slim.js');
        window.rec = await load('/bundle/', { storage: 'indexeddb' });
      });
    before(async () => {
      const folder = site(bundle);
      writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
      [chrome, server] = [await browser(), await serve(folder)];
      ({ page } = await watchedPage(chrome));
      await page.goto(`${server.address}empty.html`);
      await open();
    });
    after(async () => {
      await chrome?.close();
      server?.stop();
    });

    test('some users and planted faults, and the same after a reload', async () => {
      const planted = ways.filter(({ visitor }) => visitor.startsWith('planted'));
      assert.equal(planted.length, 5);
      for (const way of [ways[0], ways[50], ...planted]) {
        assert.deepEqual((await takenInPage(page, [way])).differences, []);
        const [earlier, later] = await reread(page, way, async () => {
          await page.reload();
          await open();
        });
        assert.equal(later, earlier, way.visitor);
      }
    });
  });
});
