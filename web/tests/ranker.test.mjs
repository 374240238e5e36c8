// A bundle with a ranker in Chromium: slates, explanations and feature values beside those of the native command.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { browser, foretaste, join, serve, site, TINY_SETTINGS, temporary, watchedPage, writeFileSync } from './support.mjs';

const POLICIES = ['greedy', 'epsilon-greedy', 'softmax', 'ucb', 'thompson'];
const USERS = ['1', '39', '64'];

/** A table without quotes as objects. */
function table(path) {
  const [names, ...rows] = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(','));
  return rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i], value])));
}

/** Tables of items know all events, so the command is asked about the second after the last one. */
let end;
/** All users of the data; a test takes some. */
let everybody;
let work, chrome, server, page, messages;
before(async () => {
  work = temporary();
  const at = (name) => join(work, name);
  foretaste('data', 'get', 'synthetic', '--users', 200, '--items', 60, '--events', 4000, '--seed', 3, '--to', at('data'));
  writeFileSync(at('settings.toml'), `${readFileSync(TINY_SETTINGS, 'utf8')}ranker = "dcn"\n`);
  foretaste('train', '--data', at('data'), '--config', at('settings.toml'), '--out', at('run'), '--quiet');
  foretaste('export', '--run', at('run'), '--out', at('bundle'), '--quiet');
  const { ranker } = JSON.parse(readFileSync(at('bundle/manifest.json'), 'utf8'));
  assert.ok(ranker, 'validation keeps the ranker of this data');
  const [events, users] = [table(at('data/events.csv')), table(at('data/users.csv'))];
  end = 1 + Math.max(...events.map(({ timestamp }) => timestamp));
  everybody = users.map(({ user, age, segment }) => {
    const history = events
      .filter((event) => event.user === user)
      .sort((a, b) => a.timestamp - b.timestamp)
      .map(({ item, rating, timestamp }) => ({
        item,
        type: 'rate',
        value: Number(rating),
        time: 1000 * timestamp,
        tz_offset_min: null,
      }));
    return { user, history, context: { age: Number(age), segment } };
  });
  const folder = site(at('bundle'));
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title><link rel="icon" href="data:,">');
  [chrome, server] = [await browser(), await serve(folder)];
  ({ page, messages } = await watchedPage(chrome));
  await page.goto(`${server.address}empty.html`);
});
after(async () => {
  await chrome?.close();
  server?.stop();
});

/** Runs the source of a function in the page, with a recommender of each visitor. */
const visit = (run, { visitors = USERS.map((user) => everybody.find((one) => one.user === user)), ...options } = {}) =>
  page.evaluate(`(async () => {
    const { load } = await import('/package/index.js');
    const found = [];
    const rec = await load('/bundle/', ${JSON.stringify(options)});
    for (const { history, ...visitor } of ${JSON.stringify(visitors)}) {
      await rec.profile.clear();
      await rec.profile.import(history);
      found.push(await (${run})(rec, visitor));
    }
    rec.dispose();
    return found;
  })()`);

describe('in Chromium', () => {
  test('the ranker orders the slates of the page and of a worker as it does natively', async () => {
    for (const worker of [false, true]) {
      const seen = await visit(
        async (rec, { context }) => ({
          ranked: await rec.recommend({ k: 10, context }),
          plain: await rec.recommend({ k: 10, context, rank: false }),
          golden: await rec.replayGolden(),
          values: await rec.featureValues(['4'], { context, signal: new AbortController().signal }),
        }),
        { worker },
      );
      for (const [i, { ranked, plain, golden, values }] of seen.entries()) {
        const native = ['recommend', join(work, 'bundle'), '--data', join(work, 'data'), '--user', USERS[i], '-k', 10, '--json'];
        const expected = JSON.parse(foretaste(...native)).items;
        assert.deepEqual(
          ranked.items.map(({ id }) => id),
          expected.map(({ id }) => id),
        );
        for (const [slot, { score }] of ranked.items.entries()) assert.ok(Math.abs(score - expected[slot].score) < 1e-3);
        assert.notDeepEqual(
          ranked.items.map(({ id }) => id),
          plain.items.map(({ id }) => id),
        );
        assert.ok(ranked.timings_us.rank > 0);
        assert.deepEqual(golden, []);
        assert.ok(values.items[0].item_count > 0);
      }
    }
  });

  test('explanations sum to the scores of slates of every policy', async () => {
    const policies = JSON.stringify(POLICIES);
    const seen = await visit(`async (rec, { context }) => {
      await rec.profile.import((await rec.profile.get()).slice(-4));
      const seen = [];
      for (const policy of ${policies})
        for (const rank of [true, false])
          for (let seed = 0; seed < 10; seed++) {
            const request = { k: 3, context, rank, explore: { policy, seed, epsilon: 0.3 }, diversity: (seed % 3) / 5 };
            const { id: slate, items } = await rec.recommend(request);
            const { id, score } = items[seed % 3];
            seen.push({ policy, rank, score, why: await rec.explain(slate, id) });
          }
      return seen;
    }`);
    assert.equal(seen.flat().length, 300);
    for (const { policy, rank, score, why } of seen.flat()) {
      const { bias, context, older, events } = why;
      const sum = events.reduce((sum, { part }) => sum + part, bias + context + older);
      const text = `${policy} ${rank}: ${JSON.stringify(why)} is not ${score}`;
      assert.ok(Math.abs(sum - score) < 1e-4 && Math.abs(why.score - score) < 1e-4, text);
      assert.equal(events.length, 4);
    }
  });

  test('leaving out the event named first lowers the score more than leaving out another', async () => {
    for (const rank of [true, false]) {
      const gains = await visit(
        `async (rec, { user, context }) => {
          const request = { k: 1, context, rank: ${rank} };
          const events = await rec.profile.get();
          const { id: slate, items: [{ id }] } = await rec.recommend(request);
          const why = await rec.explain(slate, id);
          const [first, ...rest] = why.events.sort((a, b) => b.part - a.part);
          const without = async ({ event }) => {
            await rec.profile.import(events.filter(({ id }) => id !== event));
            const [{ score }] = await rec.rank([id], request);
            return score;
          };
          return (await without(rest[(31 * user) % rest.length])) - (await without(first));
        }`,
        // Fewer events take less time.
        {
          visitors: everybody
            .map((one) => ({ ...one, history: one.history.slice(-6) }))
            .filter(({ history }) => history.length > 2),
        },
      );
      const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
      const middle = mean(gains);
      const error = Math.sqrt(mean(gains.map((gain) => (gain - middle) ** 2)) / gains.length);
      assert.ok(gains.length > 190 && middle > 4 * error, `rank ${rank}: ${middle} ± ${error}, ${gains.length} visitors`);
    }
  });

  test('feature values are those of `foretaste features get`', async () => {
    const items = ['4', '17', '60'];
    const seen = await visit(`async (rec, { context }) => rec.featureValues(${JSON.stringify(items)}, { context })`);
    let compared = 0;
    for (const [i, { visitor, items: values }] of seen.entries()) {
      const of = ['--data', join(work, 'data'), '--user', USERS[i], '--at', end];
      const get = (...args) => JSON.parse(foretaste('features', 'get', ...of, ...args));
      const own = get();
      for (const [at, item] of items.entries()) {
        for (const [name, value] of Object.entries(get('--item', item))) {
          const got = typeof own[name] === 'number' || own[name] === null ? visitor[name] : values[at][name];
          const text = `${USERS[i]} ${item} ${name}: ${got} is not ${value}`;
          // Decays of items are f32, and of the last event.
          assert.ok(value === null ? got === undefined : Math.abs(got - value) <= 2e-6 * Math.abs(value), text);
          compared += 1;
        }
      }
    }
    assert.ok(compared > 30, `${compared}`);
  });

  test('nothing was written to the console', () => assert.deepEqual(messages, []));
});
