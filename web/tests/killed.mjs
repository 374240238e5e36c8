// Kills pages at random moments while they record, and counts what the device has kept. A script of its own for many
// pages: `node web/tests/killed.mjs PAGES`; `killed.test.mjs` runs it for a few.
import { browser, join, serve, site, TINY, writeFileSync } from './support.mjs';

/** Events that a page records at most. */
const MOST = 60;
/** Longest life of a page that records, in milliseconds. */
const LONGEST = 250;

/** What kinds of pages there are: awaited or not, in the page or in a worker. */
const KINDS = [
  { awaited: false, worker: false },
  { awaited: true, worker: false },
  { awaited: false, worker: true },
  { awaited: true, worker: true },
];

/** Ways in which a page ends. */
const ENDS = [
  (page) => page.close(),
  (page, address) => page.goto(`${address}empty.html?next`).catch(() => {}),
  async (page) => {
    // The process of the page is gone at once.
    const session = await page.context().newCDPSession(page);
    const crashed = new Promise((done) => page.once('crash', done));
    session.send('Page.crash').catch(() => {});
    await crashed;
    await page.close();
  },
];

/**
 * Kills pages, and counts: of events that were recorded (`called`) or whose `record` had resolved (`resolved`), how
 * many are in profile and log (`both`), in one of them or in neither. By kind of page.
 */
export async function kill(pages) {
  const folder = site(TINY);
  writeFileSync(join(folder, 'empty.html'), '<!doctype html><title>empty</title>');
  const [chrome, server] = [await browser(), await serve(folder)];
  const counts = KINDS.map((kind) => ({ ...kind, called: 0, resolved: 0, both: 0, one: 0, neither: 0, lost: 0 }));
  const context = await chrome.newContext();
  const said = new Map();
  await context.exposeBinding('say', (_, key, what, id) => said.get(key)?.[what].add(id));
  const open = async (options) => {
    const page = await context.newPage();
    await page.goto(`${server.address}empty.html`);
    await page.evaluate(async (options) => {
      const { load } = await import('/package/index.js');
      window.rec = await load('/bundle/', { storage: 'indexeddb', tower: false, ...options });
    }, options);
    return page;
  };
  try {
    for (let n = 0; n < pages; n++) {
      const count = counts[n % KINDS.length];
      const namespace = `killed ${n}`;
      const heard = { called: new Set(), resolved: new Set() };
      said.set(namespace, heard);
      const page = await open({ namespace, worker: count.worker });
      // Not awaited: the page is killed meanwhile.
      page
        .evaluate(
          async ([key, awaited, most]) => {
            for (let i = 0; i < most; i++) {
              const id = `e${i}`;
              const recorded = window.rec.record({ id, item: String((i % 60) + 1), type: 'view' });
              window.say(key, 'called', id);
              const done = recorded.then(() => window.say(key, 'resolved', id));
              if (awaited) await done;
              else if (i % 3 === 2) await new Promise((next) => setTimeout(next, Math.random() * 20));
            }
          },
          [namespace, count.awaited, MOST],
        )
        .catch(() => {});
      await new Promise((next) => setTimeout(next, Math.random() * LONGEST));
      await ENDS[n % ENDS.length](page, server.address);
      if (!page.isClosed()) await page.close();
      said.delete(namespace);
      const judge = await open({ namespace });
      const [profile, log] = await judge.evaluate(async () => {
        const ids = (await window.rec.profile.get()).map(({ id }) => id);
        const lines = (await window.rec.exportLog()).split('\n').filter(Boolean);
        return [ids, lines.map((line) => JSON.parse(line).id)];
      });
      await judge.close();
      const [inProfile, inLog] = [new Set(profile), new Set(log)];
      // An event may be kept although the news of its call did not arrive.
      for (const id of new Set([...heard.called, ...profile, ...log])) {
        const places = Number(inProfile.has(id)) + Number(inLog.has(id));
        count.called += 1;
        count[['neither', 'one', 'both'][places]] += 1;
        if (heard.resolved.has(id)) {
          count.resolved += 1;
          if (places < 2) count.lost += 1;
        }
      }
    }
  } finally {
    await chrome.close();
    server.stop();
  }
  return counts;
}

/** What is wrong with the counts. */
export function faults(counts) {
  const one = counts.filter(({ one }) => one > 0);
  const lost = counts.filter(({ lost }) => lost > 0);
  const called = counts.filter(({ awaited, worker }) => !awaited && !worker);
  const dropped = called.filter(({ called, neither }) => neither > 0.01 * called);
  return [
    ...one.map((count) => `in only one of profile and log: ${JSON.stringify(count)}`),
    ...lost.map((count) => `recorded and not kept: ${JSON.stringify(count)}`),
    ...dropped.map((count) => `more than 1 % are in neither: ${JSON.stringify(count)}`),
  ];
}

if (process.argv[1] === import.meta.filename) {
  const counts = await kill(Number(process.argv[2] ?? 200));
  console.table(counts);
  const wrong = faults(counts);
  wrong.forEach((fault) => console.error(fault));
  process.exit(wrong.length > 0 ? 1 : 0);
}
