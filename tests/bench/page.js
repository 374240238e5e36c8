// What the runner calls in the page.
import { ENGINES, overlap, setOf } from './engines.js';

/** At least so long does one sample take: the clock of a page has steps of 5 µs. */
const SAMPLE_MS = 4;

/** Median and 95th percentile of the milliseconds of a call, and the recall, of all engines of a set; their samples alternate. */
async function score(name, only, rounds) {
  const set = await setOf(name);
  const engines = [];
  for (const [engine, prepare, most] of ENGINES) {
    if (set.n > most || (only && !only.includes(engine))) continue;
    const ready = await prepare(set);
    let recall = 0;
    for (const [i, query] of set.queries.entries()) {
      const rows = await ready.run(query);
      recall += rows ? overlap(rows, set.truth[i]) / set.queries.length : NaN;
    }
    const start = performance.now();
    await ready.run(set.queries[0]);
    const calls = Math.max(1, Math.ceil(SAMPLE_MS / Math.max(performance.now() - start, 0.01)));
    engines.push({ engine, ready, calls, recall: Number.isNaN(recall) ? null : recall, samples: [] });
    console.log(`${name}: ${engine} ready${ready.note ? ` (${ready.note})` : ''}`);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { ready, calls, samples } of engines) {
      const start = performance.now();
      for (let i = 0; i < calls; i++) {
        const answer = ready.run(set.queries[(round + i) % set.queries.length]);
        if (answer instanceof Promise) await answer;
      }
      samples.push((performance.now() - start) / calls);
    }
  }
  return engines.map(({ engine, ready, recall, samples }) => {
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.min(samples.length - 1, Math.floor(share * samples.length))];
    const memory = ready.memory?.();
    ready.free?.();
    return { engine, task: 'score', n: set.n, dim: set.dim, k: 100, vectors: set.kind, workers: 0, median_ms: at(0.5), p95_ms: at(0.95), recall, runs: samples.length, ...(memory && { memory }), ...(ready.note && { note: ready.note }) };
  });
}

window.bench = { score };
