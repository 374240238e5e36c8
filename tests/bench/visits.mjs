// Simulates visits to a site with a bundle. Measures, in milliseconds, the time from the import of the package to the
// first slate, the time of a later slate, and the time of each policy.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { browser, changed, putNeighbours, serve, site } from '../../web/tests/support.mjs';

const SLATES = 200;

const visit = async (slates) => {
  const start = performance.now();
  const { load } = await import('/package/index.js');
  const rec = await load('/bundle/');
  await rec.recommend({ k: 20 });
  const first = performance.now() - start;
  const { items } = await rec.find('', { k: 5 }).then(async (found) => {
    for (const item of found) await rec.record({ item: item.id, type: 'view' });
    return rec.info();
  });
  const samples = [];
  for (let i = 0; i < slates; i++) {
    const start = performance.now();
    await rec.recommend({ k: 20 });
    samples.push(performance.now() - start);
  }
  const bytes = performance.getEntriesByType('resource').reduce((sum, entry) => sum + entry.transferSize, 0);
  rec.dispose();
  return { first, samples, bytes, items };
};

/** Milliseconds from the import of onnxruntime-web to the first output of the bundle's user tower. */
const firstOutput = async () => {
  const start = performance.now();
  const ort = await import('/ort/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  const { files, encoding } = await (await fetch('/bundle/manifest.json')).json();
  const session = await ort.InferenceSession.create(`/bundle/${files.find(({ role }) => role === 'user_tower').path}`);
  const inputs = session.inputMetadata.map(({ name, type, shape }) => {
    const sizes = shape.map((size) => (typeof size === 'number' ? size : encoding.history.len));
    const length = sizes.reduce((a, b) => a * b, 1);
    return [name, new ort.Tensor(type, type === 'int64' ? new BigInt64Array(length) : new Float32Array(length), sizes)];
  });
  await session.run(Object.fromEntries(inputs));
  return performance.now() - start;
};

/** Measures the milliseconds of the stages after the tower and of the propensities. The policies take turns. */
const explore = async ([k, rounds]) => {
  const { load } = await import('/package/index.js');
  const rec = await load('/bundle/');
  await rec.ready;
  const { items } = await rec.info();
  const popular = await rec.find('', { k: 30 });
  for (const [i, item] of popular.entries()) await rec.record({ item: item.id, type: i % 5 === 4 ? 'hide' : 'view' });
  const stages = {};
  for (let round = 0; round < rounds; round++) {
    for (const policy of rec.features().policies) {
      const { timings_us: us } = await rec.recommend({ k, explore: { policy, seed: round } });
      // The first calls are not counted, because they fill caches.
      if (round < 10) continue;
      stages[policy] ??= [];
      stages[policy].push([(us.filter + us.score + us.slate) / 1000, us.propensity / 1000]);
    }
  }
  rec.dispose();
  return { items, stages };
};

/** Result rows of the task `explore` on a large catalog, one for each policy. */
export async function exploring(bundle) {
  const server = await serve(site(bundle));
  const context = await browser();
  const page = await context.newPage();
  await page.goto(`${server.address}package/index.js`);
  const rows = [];
  for (const k of [10, 20, 100]) {
    const { items, stages } = await page.evaluate(explore, [k, 110]);
    for (const [policy, pairs] of Object.entries(stages)) {
      const [draws, propensities] = [0, 1].map((i) => pairs.map((pair) => pair[i]).sort((a, b) => a - b));
      const at = (samples, share) => samples[Math.floor(share * (samples.length - 1))];
      rows.push({
        engine: 'foretaste',
        task: 'explore',
        model: policy,
        n: items,
        dim: 64,
        k,
        vectors: 'trained',
        workers: 0,
        median_ms: at(draws, 0.5),
        p95_ms: at(draws, 0.95),
        recall: null,
        runs: draws.length,
        note: `${k} slots; propensities ${at(propensities, 0.5).toFixed(2)} ms`,
      });
    }
  }
  await context.close();
  server.stop();
  return rows;
}

/** How many events of a history count, and how many neighbours each of their items has. */
const [EVENTS, NEIGHBOURS] = [50, 32];

/**
 * Milliseconds of a `recommend` with neighbours and without, and of what neighbours add to a `rank` of no item: the sum
 * alone. All take turns.
 */
const beside = async ([events, rounds, calls]) => {
  const { load } = await import('/package/index.js');
  const rec = await load('/bundle/');
  await rec.ready;
  const { items, dim } = await rec.info();
  for (const { id } of await rec.find('', { k: events })) await rec.record({ item: id, type: 'view' });
  const vector = new Float32Array(dim).fill(0.1);
  const work = {
    with: () => rec.recommend({ k: 20, neighbours: true }),
    without: () => rec.recommend({ k: 20, neighbours: false }),
    sum: () => rec.rank([], { vector, neighbours: true }),
    none: () => rec.rank([], { vector, neighbours: false }),
  };
  const samples = { with: [], without: [], sum: [] };
  for (let round = 0; round < rounds; round++) {
    const ms = {};
    for (const [name, call] of Object.entries(work)) {
      const start = performance.now();
      for (let i = 0; i < calls; i++) await call();
      ms[name] = (performance.now() - start) / calls;
    }
    // The first calls are not counted, because they fill caches.
    if (round < rounds / 10) continue;
    samples.with.push(ms.with);
    samples.without.push(ms.without);
    samples.sum.push(ms.sum - ms.none);
  }
  rec.dispose();
  return { items, dim, samples };
};

/** Result rows of the task `neighbours`: a bundle whose items are given neighbours that mean nothing. */
export async function neighbours(bundle, rounds) {
  const { items, encoding } = JSON.parse(readFileSync(join(bundle, 'manifest.json'), 'utf8'));
  const { len, types, value_edges } = encoding.history;
  const each = Math.min(NEIGHBOURS, items);
  const lists = Array.from({ length: items }, (_, row) => {
    const rows = new Set(Array.from({ length: each }, (_, i) => (row * 7919 + i * (i + 1) * 131 + i) % items));
    const entries = [...rows].sort((a, b) => a - b).map((other, i) => [other, ((i * 37) % 255) - 127]);
    return { scale: 0.001, entries };
  });
  const weights = {
    events: Math.min(EVENTS, len),
    share: 1,
    decay: 0.9,
    types: Array(types.filter(({ trained }) => trained).length + 1).fill(1),
    values: Array(value_edges.length + 2).fill(1),
  };
  const server = await serve(site(changed(bundle, (folder) => putNeighbours(folder, lists, weights, 65_536))));
  const context = await browser();
  const page = await context.newPage();
  await page.goto(`${server.address}package/index.js`);
  const seen = await page.evaluate(beside, [EVENTS, rounds, 20]);
  await context.close();
  server.stop();
  return Object.entries(seen.samples).map(([part, samples]) => {
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.floor(share * (samples.length - 1))];
    const model = { with: 'recommend with neighbours', without: 'recommend without', sum: 'the sum alone' }[part];
    const note = `${weights.events} events of ${each} neighbours`;
    const [median_ms, p95_ms] = [at(0.5), at(0.95)];
    const what = { engine: 'foretaste', task: 'neighbours', model, n: seen.items, dim: seen.dim, k: 20, vectors: 'trained' };
    return { ...what, workers: 0, median_ms, p95_ms, recall: null, runs: samples.length, note };
  });
}

/** Milliseconds of a `recommend` behind a ranker and without it, which take turns, and of the stages behind it. */
const behind = async ([events, rounds]) => {
  const { load } = await import('/package/index.js');
  const rec = await load('/bundle/');
  await rec.ready;
  const { items, dim } = await rec.info();
  for (const { id } of await rec.find('', { k: events })) await rec.record({ item: id, type: 'rate', value: 4 });
  const samples = { 'recommend behind a ranker': [], 'recommend without': [], 'the ranker alone': [] };
  for (let round = 0; round < rounds; round++) {
    for (const [name, rank] of [
      ['recommend behind a ranker', true],
      ['recommend without', false],
    ]) {
      const start = performance.now();
      const { timings_us } = await rec.recommend({ k: 20, rank });
      const ms = performance.now() - start;
      // The first calls are not counted, because they fill caches.
      if (round < rounds / 10) continue;
      samples[name].push(ms);
      if (rank) samples['the ranker alone'].push(timings_us.rank / 1000);
    }
  }
  rec.dispose();
  return { items, dim, samples };
};

/** Result rows of the task `rank`: a slate of 20 from a bundle with a ranker. */
export async function ranking(bundle, rounds) {
  const { ranker } = JSON.parse(readFileSync(join(bundle, 'manifest.json'), 'utf8'));
  if (!ranker) throw new Error(`${bundle} has no ranker: validation did not gain by one`);
  const server = await serve(site(bundle));
  const context = await browser();
  const page = await context.newPage();
  await page.goto(`${server.address}package/index.js`);
  const seen = await page.evaluate(behind, [EVENTS, rounds]);
  await context.close();
  server.stop();
  return Object.entries(seen.samples).map(([model, samples]) => {
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.floor(share * (samples.length - 1))];
    const note = `${ranker.candidates} candidates, ${ranker.inputs.length} inputs`;
    const what = { engine: 'foretaste', task: 'rank', model, n: seen.items, dim: seen.dim, k: 20, vectors: 'trained' };
    return { ...what, workers: 0, median_ms: at(0.5), p95_ms: at(0.95), recall: null, runs: samples.length, note };
  });
}

/** What Chromium's developer tools call slow 4G: 1.6 Mbit/s, and 150 ms there and back. */
const SLOW_4G = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 750e3 / 8 };

/** A first visit: milliseconds, and bytes by file, until popular items are there, and until a slate is. */
const slowVisit = async () => {
  const start = performance.now();
  const now = () => {
    const files = performance.getEntriesByType('resource').map(({ name, encodedBodySize }) => [name, encodedBodySize]);
    return { ms: performance.now() - start, files: files.filter(([, bytes]) => bytes > 0) };
  };
  const { load } = await import('/package/index.js');
  const rec = await load('/bundle/');
  const [{ id }] = await rec.find('', { k: 5 });
  await rec.similar(id, { k: 5 });
  const popular = now();
  await rec.recommend({ k: 20 });
  const personal = now();
  rec.dispose();
  return { popular, personal };
};

/** Result rows of the tasks `slow-popular` and `slow-personal`: first visits over a slow line to a host with brotli. */
export async function slowVisits(bundle, count) {
  const folder = site(bundle);
  for (const name of readdirSync(folder, { recursive: true }).filter((name) => /\.(js|json|wasm|safetensors|onnx)$/.test(name))) {
    writeFileSync(join(folder, `${name}.br`), brotliCompressSync(readFileSync(join(folder, name))));
  }
  const server = await serve(folder);
  const seen = [];
  for (let i = 0; i < count; i++) {
    const context = await browser();
    const page = await context.newPage();
    await page.goto(`${server.address}package/index.js`);
    const line = await page.context().newCDPSession(page);
    await line.send('Network.enable');
    await line.send('Network.emulateNetworkConditions', SLOW_4G);
    seen.push(await page.evaluate(slowVisit));
    await context.close();
  }
  server.stop();
  return ['popular', 'personal'].map((moment) => {
    const all = seen.map((visit) => visit[moment].ms).sort((a, b) => a - b);
    const files = seen[0][moment].files.map(([name, bytes]) => `${new URL(name).pathname} ${bytes}`);
    return {
      engine: 'foretaste',
      task: `slow-${moment}`,
      n: 0,
      dim: 0,
      k: 20,
      vectors: 'trained',
      workers: 0,
      median_ms: all[all.length >> 1],
      p95_ms: all.at(-1),
      recall: null,
      runs: count,
      note: files.join(', '),
    };
  });
}

/**
 * Result rows of the tasks `cold-start`, `warm-start` and `slate`, each over `count` visitors, and of the first output
 * of onnxruntime-web (its folder `dist`), whose visitors take turns with ours.
 */
export async function visits(bundle, count, ort) {
  const folder = site(bundle);
  for (const name of ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm']) {
    cpSync(join(ort, name), join(folder, 'ort', name));
  }
  const server = await serve(folder);
  const all = { 'cold-start': [], 'warm-start': [], slate: [] };
  const peer = { 'cold-start': [], 'warm-start': [] };
  let bytes, n;
  for (let i = 0; i < count; i++) {
    // Each visitor has a browser profile on the disk, because a browser keeps compiled code there.
    const profile = mkdtempSync(join(tmpdir(), 'foretaste-bench-'));
    const context = await browser({ profile });
    for (const task of ['cold-start', 'warm-start']) {
      const page = await context.newPage();
      await page.goto(`${server.address}package/index.js`);
      const seen = await page.evaluate(visit, SLATES);
      all[task].push(seen.first);
      if (task === 'warm-start') all.slate.push(...seen.samples);
      if (task === 'cold-start') [bytes, n] = [seen.bytes, seen.items];
      await page.close();
    }
    await context.close();
    rmSync(profile, { recursive: true, force: true });
    const other = mkdtempSync(join(tmpdir(), 'foretaste-bench-'));
    const peers = await browser({ profile: other });
    for (const samples of Object.values(peer)) {
      const page = await peers.newPage();
      await page.goto(`${server.address}package/index.js`);
      samples.push(await page.evaluate(firstOutput));
      await page.close();
    }
    await peers.close();
    rmSync(other, { recursive: true, force: true });
  }
  server.stop();
  const rows = Object.entries(all).map((of) => ['foretaste', ...of]);
  rows.push(...Object.entries(peer).map((of) => ['onnxruntime-web-f32', ...of]));
  return rows.map(([engine, task, samples]) => {
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.min(samples.length - 1, Math.floor(share * samples.length))];
    const isOurs = engine === 'foretaste';
    const note = !isOurs ? 'first output of the user tower' : task === 'cold-start' ? `${bytes} bytes` : '';
    return {
      engine,
      task,
      n,
      dim: 64,
      k: 20,
      vectors: 'trained',
      workers: 0,
      median_ms: at(0.5),
      p95_ms: at(0.95),
      recall: null,
      runs: samples.length,
      note,
    };
  });
}
