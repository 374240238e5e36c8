// The engines of the benchmark. `prepare(set)` makes an engine ready and returns its `run(query)`, which returns the
// rows of the top 100, best first.

import * as orama from '@orama/orama';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web/wasm';
import { instructionSet } from '../../web/src/package/instructions.ts';

const K = 100;
/** Arguments of `Core.search` that exclude no row and raise no score. */
const NONE = new Uint32Array();
const NO_LIFT = new Float32Array();
/** The numbers that `Core.search` takes for its efforts `accurate` and `fast`. */
const ACCURATE = 0;
const FAST = 1;
const bytesOf = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
const floatsOf = async (url) => new Float32Array((await bytesOf(url)).buffer);

/** A set of rows, with `queries` and the true best rows of each query. */
export async function setOf(name) {
  const [vectors, kind, dim, n] = [name, ...name.split('-').map((part) => Number(part) || part)];
  const at = (file) => `/data/${vectors}/${file}`;
  const queries = await floatsOf(at('queries.f32'));
  const truth = new Uint32Array((await bytesOf(at('truth.u32'))).buffer);
  const count = queries.length / dim;
  return {
    name,
    kind,
    dim,
    n,
    at,
    queries: Array.from({ length: count }, (_, i) => queries.slice(i * dim, (i + 1) * dim)),
    truth: Array.from({ length: count }, (_, i) => truth.slice(i * K, (i + 1) * K)),
    vectors: () => floatsOf(at('vectors.f32')),
    biases: () => floatsOf(at('biases.f32')),
  };
}

/** The core of this project with the rows of a set, and its WASM memory. */
export async function coreOf(set, files = (all) => all) {
  const { default: init, Core } = await import('/dist/package/wasm/core.js');
  const { memory } = await init({ module_or_path: `/dist/package/wasm/core-${instructionSet()}.wasm` });
  const core = new Core(await bytesOf(set.at('manifest.json')));
  for (const file of files(core.plan().files.filter((f) => f.role === 'items' || f.role === 'catalog'))) {
    core.begin(file.path);
    const reader = (await fetch(set.at(file.path))).body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) core.append(file.path, next.value);
    core.finish(file.path);
  }
  core.open();
  return { core, memory };
}

const foretaste = (effort) => async (set) => {
  const { core, memory } = await coreOf(set);
  return {
    run: (query) => core.search(query, K, effort, NO_LIFT, NONE).rows,
    memory: () => memory.buffer.byteLength,
    free: () => core.free(),
  };
};

async function sweep(set) {
  const { instance } = await WebAssembly.instantiateStreaming(fetch('/data/sweep.wasm'));
  const { memory, sweep } = instance.exports;
  const bytes = set.n * set.dim;
  memory.grow(Math.ceil(bytes / 65536));
  new Uint8Array(memory.buffer).fill(3);
  return { run: () => void sweep(0, bytes) };
}

const onnx = (kind) => async (set) => {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  const session = await ort.InferenceSession.create(await bytesOf(set.at(`scores-${kind}.onnx`)), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  const shape = [1, set.dim];
  const feeds = (query) => {
    if (kind === 'f32') return { query: new ort.Tensor('float32', query, shape) };
    const scale = query.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-30) / 127;
    const ints = Uint8Array.from(query, (x) => Math.round(x / scale) + 128);
    return { query: new ort.Tensor('uint8', ints, shape), scale: new ort.Tensor('float32', [scale], [1]) };
  };
  const run = async (query) => {
    const { rows } = await session.run(feeds(query));
    return Uint32Array.from(rows.data, Number);
  };
  return { run, free: () => session.release() };
};

async function tfjs(set) {
  setWasmPaths('/tfjs/');
  await tf.setBackend('wasm');
  await tf.ready();
  const [vectors, biases] = [tf.tensor2d(await set.vectors(), [set.n, set.dim]), tf.tensor1d(await set.biases())];
  const run = async (query) => {
    const rows = tf.tidy(
      () => tf.topk(tf.add(tf.matMul(tf.tensor2d(query, [1, set.dim]), vectors, false, true), biases), K, true).indices,
    );
    const data = await rows.data();
    rows.dispose();
    return data;
  };
  return { run, free: () => tf.dispose([vectors, biases]) };
}

async function jsLoop(set) {
  const [vectors, biases] = [await set.vectors(), await set.biases()];
  const { n, dim } = set;
  // A heap of the best 100 rows with the worst of them on top.
  const [scores, rows] = [new Float32Array(K), new Uint32Array(K)];
  const sink = (at) => {
    for (;;) {
      let least = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < K; child++) if (scores[child] < scores[least]) least = child;
      if (least === at) return;
      [scores[at], scores[least]] = [scores[least], scores[at]];
      [rows[at], rows[least]] = [rows[least], rows[at]];
      at = least;
    }
  };
  return {
    run: (query) => {
      scores.fill(-Infinity);
      for (let i = 0, at = 0; i < n; i++) {
        let sum = biases[i];
        for (let k = 0; k < dim; k++) sum += vectors[at++] * query[k];
        if (sum > scores[0]) {
          scores[0] = sum;
          rows[0] = i;
          sink(0);
        }
      }
      return Uint32Array.from(
        [...rows.keys()].sort((a, b) => scores[b] - scores[a]),
        (i) => rows[i],
      );
    },
  };
}

/** The rows with their bias as one more dimension, so that u · v + b is a plain product. */
async function widened(set) {
  const [vectors, biases] = [await set.vectors(), await set.biases()];
  return Array.from({ length: set.n }, (_, i) => [...vectors.subarray(i * set.dim, (i + 1) * set.dim), biases[i]]);
}

async function hnsw(set) {
  const { loadHnswlib } = await import('hnswlib-wasm');
  const lib = await loadHnswlib();
  const index = new lib.HierarchicalNSW('ip', set.dim + 1, '');
  index.initIndex(set.n, 16, 200, 1);
  const start = performance.now();
  index.addItems(await widened(set), false);
  const build = performance.now() - start;
  const run = (query) => index.searchKnn([...query, 1], K, undefined).neighbors;
  const recall = () => set.queries.reduce((sum, query, i) => sum + overlap(run(query), set.truth[i]), 0) / set.queries.length;
  // Searches for the lowest effort that reaches a recall of 0.98.
  let ef = 200;
  for (index.setEfSearch(ef); recall() < 0.98 && ef < 6400; index.setEfSearch(ef)) ef *= 2;
  return { run, note: `ef ${ef}, built in ${Math.round(build)} ms` };
}

async function voy(set) {
  const bg = await import('voy-search/voy_search_bg.js');
  const { instance } = await WebAssembly.instantiateStreaming(fetch('/voy/voy_search_bg.wasm'), { './voy_search_bg.js': bg });
  bg.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start?.();
  const vectors = await set.vectors();
  const embeddings = Array.from({ length: set.n }, (_, i) => ({
    id: String(i),
    title: '',
    url: '',
    embeddings: Array.from(vectors.subarray(i * set.dim, (i + 1) * set.dim)),
  }));
  const index = new bg.Voy({ embeddings });
  // It cannot add a bias to the product, so its top rows differ and only its time is compared.
  return { run: (query) => void index.search(query, K), free: () => index.free() };
}

async function oramaOf(set) {
  const vectors = await set.vectors();
  const index = orama.create({ schema: { row: 'number', vector: `vector[${set.dim}]` } });
  const documents = Array.from({ length: set.n }, (_, i) => ({
    row: i,
    vector: Array.from(vectors.subarray(i * set.dim, (i + 1) * set.dim)),
  }));
  await orama.insertMultiple(index, documents, 5000);
  return {
    run: async (query) => {
      await orama.search(index, {
        mode: 'vector',
        vector: { value: Array.from(query), property: 'vector' },
        similarity: 0,
        limit: K,
        includeVectors: false,
      });
    },
  };
}

export const overlap = (rows, truth) => {
  const wanted = new Set(truth);
  return [...rows].filter((row) => wanted.has(row)).length / truth.length;
};

/** The package itself, as a page uses it. The id of an item is its row number. */
const inWorkers = (worker) => async (set) => {
  const { load } = await import('/dist/package/index.js');
  const rec = await load(set.at(''), { worker, cache: false });
  // The bundle has no tower, so `ready` rejects.
  rec.ready.catch(() => {});
  return { run: async (query) => (await rec.search(query, { k: K })).map((item) => Number(item.id)), free: () => rec.dispose() };
};

/** All engines. An engine with `workers` workers is measured on sets of `least` to `most` rows. */
export const ENGINES = [
  { engine: 'foretaste', prepare: foretaste(ACCURATE) },
  { engine: 'foretaste-fast', prepare: foretaste(FAST) },
  { engine: 'foretaste', prepare: inWorkers(1), workers: 1, least: 100_000 },
  { engine: 'foretaste', prepare: inWorkers(2), workers: 2, least: 100_000 },
  { engine: 'sweep', prepare: sweep },
  { engine: 'onnxruntime-web-f32', prepare: onnx('f32') },
  { engine: 'onnxruntime-web-int8', prepare: onnx('int8') },
  { engine: 'tfjs-wasm', prepare: tfjs },
  { engine: 'js-loop', prepare: jsLoop },
  { engine: 'hnswlib-wasm', prepare: hnsw, most: 100_000 },
  { engine: 'voy', prepare: voy, most: 100_000 },
  { engine: 'orama', prepare: oramaOf, most: 100_000 },
];

/** A user tower with made-up inputs of the shapes `[dim, len, context, rows]`. */
export async function towerOf(url, [dim, len, context, rows]) {
  const number = (i) => (((i * 7919 + 13) % 1000) / 500 - 1) * 0.1;
  const row = (n, step) => ({ shape: [1, n], data: BigInt64Array.from({ length: n }, (_, i) => BigInt((i * step) % rows)) });
  const inputs = {
    vectors: { shape: [1, len, dim], data: Float32Array.from({ length: len * dim }, (_, i) => number(i)) },
    types: row(len, 1),
    values: row(len, 3),
    gaps: row(len, 5),
    runs: row(len, 7),
    mask: { shape: [1, len], data: new Float32Array(len).fill(1) },
    context_slots: row(context, 1),
    context_weights: { shape: [1, context], data: Float32Array.from({ length: context }, (_, i) => number(i)) },
  };
  return { bytes: await bytesOf(url), shapes: [dim, len, context], inputs };
}

/**
 * A ranker with a user tower beside it, and made-up inputs of `count` candidates of the shapes `[dim, slots, rows]`:
 * `inputs(from, to)` has those of some of them, padded to `batch`.
 */
export async function rankerOf(url, user, count, [dim, slots, rows]) {
  const number = (i) => (((i * 7919 + 13) % 1000) / 500 - 1) * 0.1;
  const inputs = (from, to, batch) => {
    const filled = (width, value, one, array) => {
      const data = new array(batch * width).fill(one);
      for (let i = 0; i < (to - from) * width; i++) data[i] = value(from * width + i);
      return { shape: [batch, width], data };
    };
    return {
      user: filled(dim, (i) => number(i % dim), 0, Float32Array),
      item: filled(dim, number, 0, Float32Array),
      slots: filled(slots, (i) => BigInt((i * 31) % rows), 0n, BigInt64Array),
      weights: filled(slots, (i) => (i % 3) / 2, 0, Float32Array),
    };
  };
  return { bytes: await bytesOf(url), user: await bytesOf(user), dim, slots, count, inputs };
}

/** Largest batch that the package runs. */
const BATCH = 256;

/** Our ranker in batches of at most `most`. */
const ranker =
  (most) =>
  async ({ bytes, user, dim, slots, count, inputs }) => {
    const { default: init, Tower } = await import('/dist/package/wasm/tower.js');
    await init({ module_or_path: '/dist/package/wasm/tower.wasm' });
    const tower = new Tower(user, undefined, dim, 50, 8, 1);
    tower.addRanker(bytes, slots, 1);
    const starts = Array.from({ length: Math.ceil(count / most) }, (_, i) => i * most);
    const chunks = starts.map((from) => Object.values(inputs(from, Math.min(count, from + most), most)));
    const run = () => {
      const heads = chunks.map((chunk) => tower.run('ranker', chunk)[0]);
      return heads.flatMap((heads) => Array.from(heads)).slice(0, count);
    };
    return { run, free: () => tower.free() };
  };

/** Engines that run a ranker over all candidates. Their `run` returns the outputs. */
export const RANKER_ENGINES = [
  { engine: 'foretaste', prepare: ranker(BATCH) },
  { engine: 'foretaste, one by one', prepare: ranker(1) },
  {
    engine: 'onnxruntime-web-f32',
    prepare: async ({ bytes, count, inputs }) => {
      const { session, feeds } = await sessionOf(bytes, inputs(0, count, count));
      return { run: async () => (await session.run(feeds)).heads.data, free: () => session.release() };
    },
  },
];

/** A session of onnxruntime-web on one thread, and the inputs as it takes them. */
async function sessionOf(bytes, inputs) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  const tensor = ({ shape, data }) => new ort.Tensor(data instanceof Float32Array ? 'float32' : 'int64', data, shape);
  return { session, feeds: Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, tensor(input)])) };
}

/** Engines that run a tower. Their `run` returns its output. */
export const TOWER_ENGINES = [
  {
    engine: 'foretaste',
    prepare: async ({ bytes, shapes, inputs }) => {
      const { default: init, Tower } = await import('/dist/package/wasm/tower.js');
      await init({ module_or_path: '/dist/package/wasm/tower.wasm' });
      const tower = new Tower(bytes, undefined, ...shapes, 1);
      const list = Object.values(inputs);
      return { run: () => tower.run('user_tower', list)[0], free: () => tower.free() };
    },
  },
  {
    engine: 'onnxruntime-web-f32',
    prepare: async ({ bytes, inputs }) => {
      const { session, feeds } = await sessionOf(bytes, inputs);
      return { run: async () => (await session.run(feeds)).user.data, free: () => session.release() };
    },
  },
];
