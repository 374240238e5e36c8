// Runs the benchmarks of one page in headless Chromium:
// node run.mjs DATA OUT SET… [--only engine,…] [--every] [--rounds N] [--towers]
//   [--site BUNDLE [--visits N]] [--large BUNDLE] [--ranked BUNDLE]
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { cpus } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { browser } from '../../web/tests/support.mjs';
import { exploring, neighbours, ranking, slowVisits, visits } from './visits.mjs';

const here = import.meta.dirname;
const root = join(here, '../..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    every: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '40' },
    site: { type: 'string' },
    visits: { type: 'string', default: '9' },
    large: { type: 'string' },
    ranked: { type: 'string' },
    towers: { type: 'boolean' },
  },
});
const rounds = Number(values.rounds);
const [data, out, ...sets] = positionals;
const modules = join(here, 'node_modules');

execFileSync(join(root, 'web/node_modules/.bin/wasm-as'), [
  '--enable-simd',
  join(here, 'sweep.wat'),
  '-o',
  join(data, 'sweep.wasm'),
]);
const empty = join(here, 'empty.js');
await build({
  entryPoints: [join(here, 'page.js')],
  bundle: true,
  format: 'esm',
  outfile: join(data, 'page.js'),
  external: ['/dist/*'],
  logLevel: 'error',
  platform: 'browser',
  define: { 'process.env.NODE_ENV': '"production"' },
  alias: { fs: empty, path: empty, crypto: empty },
});

const FOLDERS = {
  data,
  dist: join(root, 'web/dist'),
  ort: join(modules, 'onnxruntime-web/dist'),
  tfjs: join(modules, '@tensorflow/tfjs-backend-wasm/dist'),
  voy: join(modules, 'voy-search'),
};
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' };
const server = createServer((request, response) => {
  const [folder, ...rest] = normalize(new URL(request.url, 'http://x').pathname).split('/').filter(Boolean);
  // A cross-origin isolated page has a clock with steps of 5 µs. Every engine still runs on one thread.
  const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  if (folder === undefined) {
    return response
      .writeHead(200, { ...headers, 'content-type': 'text/html' })
      .end('<!doctype html><script type="module" src="/data/page.js"></script>');
  }
  const path = FOLDERS[folder] && join(FOLDERS[folder], ...rest);
  if (!path || !existsSync(path)) return response.writeHead(404, headers).end();
  response.writeHead(200, {
    ...headers,
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-length': statSync(path).size,
  });
  createReadStream(path).pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const chrome = await browser();
const rows = [];
/** Runs one benchmark in a new page, so that memory left by one benchmark does not slow the next. */
async function measured(call, ...args) {
  const page = await chrome.newPage();
  page.on('console', (message) => console.error(message.text()));
  page.on('pageerror', (error) => console.error(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.bench);
  rows.push(...(await page.evaluate(([call, args]) => window.bench[call](...args), [call, args])));
  await page.close();
}
for (const set of sets) await measured('score', set, values.only?.split(','), rounds, values.every);
if (values.towers) {
  for (const model of ['pools', 'mean', 'sum', 'gru', 'transformer']) {
    for (const len of [50, 200]) await measured('tower', model, `/data/towers/${model}-${len}.onnx`, [64, len, 8, 16], rounds);
  }
  for (const model of ['dcn', 'widedeep']) {
    await measured(
      'ranker',
      model,
      `/data/towers/ranker-${model}.onnx`,
      '/data/towers/pools-50.onnx',
      500,
      [64, 40, 400],
      rounds,
    );
  }
}
await chrome.close();
server.close();
if (values.site)
  rows.push(
    ...(await visits(values.site, Number(values.visits), FOLDERS.ort)),
    ...(await slowVisits(values.site, 3)),
    ...(await neighbours(values.site, rounds)),
  );
if (values.large) rows.push(...(await exploring(values.large)));
if (values.ranked) rows.push(...(await ranking(values.ranked, 5 * rounds)));

const machine = { cpu: cpus()[0].model, cores: cpus().length };
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'bench-browser.json'), JSON.stringify({ machine, rows }, null, 1));
const ms = (x) => (x < 1 ? x.toFixed(3) : x.toFixed(2));
const table = rows.map(
  (r) =>
    `| ${r.task} | ${r.model ?? r.vectors} | ${r.n} | ${r.dim} | ${r.engine} | ${r.workers} | ${ms(r.median_ms)} | ${ms(r.p95_ms)} | ${r.recall === null ? '' : r.recall.toFixed(4)} | ${r.note ?? ''} |`,
);
const text = [
  '| task | vectors | n | d | engine | workers | median ms | p95 ms | recall@100 | |',
  '|---|---|---|---|---|---|---|---|---|---|',
  ...table,
  '',
].join('\n');
writeFileSync(join(out, 'bench-browser.md'), text);
console.log(text);
