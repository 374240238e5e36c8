// Builds web/dist from what .ci/build-wasm left in web/pkg: the npm package in dist/package, the page beside it. With --all also the tower without SIMD.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build, transform } from 'esbuild';

const root = import.meta.dirname;
const at = (...parts) => join(root, ...parts);
const bin = (name) => at('node_modules', '.bin', name);
const run = (name, ...args) => execFileSync(bin(name), args, { cwd: root, stdio: 'inherit' });

const WASM_FEATURES = ['bulk-memory', 'bulk-memory-opt', 'reference-types', 'sign-ext', 'mutable-globals', 'nontrapping-float-to-int', 'multivalue'];
/** The modules, each with the class it has and the features it needs; the page takes the core that its browser can run. */
const MODULES = [
  { name: 'core-baseline', glue: 'core', features: [] },
  { name: 'core-simd128', glue: 'core', features: ['simd'] },
  { name: 'core-relaxed', glue: 'core', features: ['simd', 'relaxed-simd'] },
  { name: 'tower', glue: 'tower', features: ['simd'] },
  ...(process.argv.includes('--all') ? [{ name: 'tower-baseline', glue: 'tower', features: [] }] : []),
];

/** The module after wasm-opt, which takes minutes: kept until its input changes. */
function optimized(input, features) {
  const hash = createHash('sha256').update(readFileSync(input)).digest('hex').slice(0, 16);
  const output = input.replace(/_bg\.wasm$/, `.${hash}.opt`);
  if (!existsSync(output)) {
    // Twice: a second pass finds half a percent more.
    run('wasm-opt', '-Oz', '-Oz', ...[...WASM_FEATURES, ...features].map((f) => `--enable-${f}`), input, '-o', `${output}.partial`);
    renameSync(`${output}.partial`, output);
  }
  return output;
}

/** Largest brotli bytes of each artefact: more fails the build. */
const BUDGET = JSON.parse(readFileSync(at('sizes.json'), 'utf8'));

for (const name of ['package', 'page', 'index.html', 'style.css']) rmSync(at('dist', name), { recursive: true, force: true });
mkdirSync(at('dist/package/wasm'), { recursive: true });
for (const { name, glue, features } of MODULES) {
  const out = (file) => at('dist/package/wasm', file);
  cpSync(optimized(at('pkg', name, `${glue}_bg.wasm`), features), out(`${name}.wasm`));
  // The address of the module is always given: without this line bundlers would look for a file that is not there.
  const text = readFileSync(at('pkg', name, `${glue}.js`), 'utf8').replace(/module_or_path = new URL\([^)]*\);/, "throw new Error('no module given');");
  if (existsSync(out(`${glue}.js`)) && readFileSync(out(`${glue}.js`), 'utf8') !== text) throw new Error(`${name} needs other glue than the other builds of ${glue}`);
  writeFileSync(out(`${glue}.js`), text);
  // Readers of the package need no lib of explicit resource management.
  writeFileSync(out(`${glue}.d.ts`), readFileSync(at('pkg', name, `${glue}.d.ts`), 'utf8').replace(/^ *\[Symbol\.dispose\].*\n/gm, ''));
}
// After a trap the tower is started again: the glue forgets the old instance, and its classes then use the new one.
const tower = at('dist/package/wasm/tower.js');
if (!/^let wasm\w*(, wasm\w*)*;/m.test(readFileSync(tower, 'utf8')) || !readFileSync(tower, 'utf8').includes('__wbg_init_promise = undefined')) throw new Error('the glue of wasm-bindgen has another form than `forget` expects');
appendFileSync(tower, '\nexport function forget() {\n    wasm = undefined;\n    __wbg_init_promise = undefined;\n}\n');
appendFileSync(at('dist/package/wasm/tower.d.ts'), '\n/** Makes the next init start a new instance. */\nexport function forget(): void;\n');

run('tsc', '-p', 'tsconfig.json');
// The scripts of the package: one file each, so that a page asks once and not level by level.
const scripts = ['index', 'worker', 'shard'];
for (const name of readdirSync(at('dist/package')).filter((name) => name.endsWith('.js'))) rmSync(at('dist/package', name));
await build({
  entryPoints: scripts.map((name) => at('src/package', `${name}.ts`)),
  outdir: at('dist/package'),
  bundle: true,
  format: 'esm',
  target: 'es2022',
  // The glue lies in dist, beside what tsc leaves.
  plugins: [{ name: 'glue', setup: (own) => own.onResolve({ filter: /^\.\/wasm\// }, ({ path }) => ({ path: at('dist/package', path) })) }],
  minify: true,
  legalComments: 'none',
});
for (const glue of new Set(MODULES.map((module) => `${module.glue}.js`))) {
  const path = at('dist/package/wasm', glue);
  writeFileSync(path, (await transform(readFileSync(path, 'utf8'), { minify: true, format: 'esm' })).code);
}
cpSync(at('src/page/index.html'), at('dist/index.html'));
cpSync(at('src/page/style.css'), at('dist/style.css'));

let tooLarge = false;
const number = (n) => String(n.toLocaleString('en')).padStart(11);
console.log(`${'bytes'.padEnd(22)}${['raw', 'gzip', 'brotli', 'budget'].map((h) => h.padStart(11)).join('')}`);
for (const [path, budget] of Object.entries(BUDGET)) {
  const bytes = readFileSync(at('dist/package', path));
  // In one block: where the encoder cuts is luck, of up to two percent.
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGBLOCK]: 24 } }).length;
  tooLarge ||= brotli > budget;
  console.log(path.padEnd(22) + [bytes.length, gzipSync(bytes, { level: 9 }).length, brotli, budget].map(number).join(''));
}
if (tooLarge) throw new Error('an artefact is over its budget (web/sizes.json, brotli bytes)');
