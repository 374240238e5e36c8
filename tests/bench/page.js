// The functions that run.mjs calls in the page.
import { ENGINES, overlap, RANKER_ENGINES, rankerOf, setOf, TOWER_ENGINES, towerOf } from './engines.js';

/** The minimum time of one sample. The clock of a page has steps of 5 µs, so a sample must take much longer. */
const SAMPLE_MS = 4;
/** Calls before the first measurement. JavaScript engines compile a function after it was called often. */
const WARM_UP = 20;
/** The largest allowed difference between two engines' outputs of one graph. */
const TOLERANCE = 1e-4;

/** Measures the milliseconds of a call of each engine's `ready.run(query)`. Engines take turns, sample by sample. */
async function sample(engines, queries, rounds) {
  for (const one of engines) {
    for (let i = 0; i < WARM_UP; i++) await one.ready.run(queries[i % queries.length]);
    const start = performance.now();
    await one.ready.run(queries[0]);
    one.calls = Math.max(1, Math.ceil(SAMPLE_MS / Math.max(performance.now() - start, 0.01)));
    one.samples = [];
  }
  for (let round = 0; round < rounds; round++) {
    for (const { ready, calls, samples } of engines) {
      const start = performance.now();
      for (let i = 0; i < calls; i++) {
        const answer = ready.run(queries[(round + i) % queries.length]);
        if (answer instanceof Promise) await answer;
      }
      samples.push((performance.now() - start) / calls);
    }
  }
  return engines.map(({ engine, ready, samples, workers = 0, recall = null }) => {
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.min(samples.length - 1, Math.floor(share * samples.length))];
    const memory = ready.memory?.();
    ready.free?.();
    return {
      engine,
      workers,
      median_ms: at(0.5),
      p95_ms: at(0.95),
      recall,
      runs: samples.length,
      ...(memory && { memory }),
      ...(ready.note && { note: ready.note }),
    };
  });
}

/** Measures time and recall of the engines on a set of rows. `every` includes engines not meant for its size. */
async function score(name, only, rounds, every) {
  const set = await setOf(name);
  const engines = [];
  for (const { engine, prepare, workers, least = 0, most = Infinity } of ENGINES) {
    if ((!every && (set.n > most || set.n < least)) || (only && !only.includes(engine))) continue;
    const ready = await prepare(set);
    let recall = 0;
    for (const [i, query] of set.queries.entries()) {
      const rows = await ready.run(query);
      recall += rows ? overlap(rows, set.truth[i]) / set.queries.length : NaN;
    }
    engines.push({ engine, ready, workers, recall: Number.isNaN(recall) ? null : recall });
    console.log(`${name}: ${engine} ready${ready.note ? ` (${ready.note})` : ''}`);
  }
  const rows = await sample(engines, set.queries, rounds);
  return rows.map((row) => ({ ...row, task: 'score', n: set.n, dim: set.dim, k: 100, vectors: set.kind }));
}

/** Measures the time of a user tower in each engine. Throws if their outputs differ. */
async function tower(model, url, shapes, rounds) {
  const rows = await sample(await equal(model, await towerOf(url, shapes), TOWER_ENGINES), [undefined], rounds);
  return rows.map((row) => ({ ...row, task: 'tower', model, n: shapes[1], dim: shapes[0], k: null, vectors: 'gaussian' }));
}

/** Measures the time of a ranker over `count` candidates in each engine. Throws if their outputs differ. */
async function ranker(model, url, user, count, shapes, rounds) {
  const graph = await rankerOf(url, user, count, shapes);
  const rows = await sample(await equal(model, graph, RANKER_ENGINES), [undefined], rounds);
  return rows.map((row) => ({ ...row, task: 'ranker', model, n: count, dim: shapes[0], k: null, vectors: 'gaussian' }));
}

/** The engines, ready to run a graph. Throws if their outputs differ. */
async function equal(model, graph, of) {
  const engines = [];
  for (const { engine, prepare } of of) {
    const start = performance.now();
    const ready = await prepare(graph);
    await ready.run();
    engines.push({ engine, ready: { ...ready, note: `first output after ${Math.round(performance.now() - start)} ms` } });
  }
  const [ours, ...others] = await Promise.all(engines.map(async ({ ready }) => Array.from(await ready.run())));
  for (const theirs of others) {
    const far = ours.reduce((most, x, i) => Math.max(most, Math.abs(x - theirs[i])), 0);
    if (!(far <= TOLERANCE)) throw new Error(`${model}: the outputs differ by ${far}`);
  }
  return engines;
}

window.bench = { score, tower, ranker };
