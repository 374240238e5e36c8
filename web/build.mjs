// Builds web/dist from the modules that .ci/build-wasm left in web/pkg: the npm package in dist/package and the page
// beside it. With --all also the tower for browsers without SIMD.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build, transform } from 'esbuild';
import { withShortImports } from './imports.mjs';

const root = import.meta.dirname;
const at = (...parts) => join(root, ...parts);
const read = (path) => fs.readFileSync(path, 'utf8');
const run = (name, ...args) => execFileSync(at('node_modules/.bin', name), args, { cwd: root, stdio: 'inherit' });

const WASM_FEATURES = [
  'bulk-memory',
  'bulk-memory-opt',
  'reference-types',
  'sign-ext',
  'mutable-globals',
  'nontrapping-float-to-int',
  'multivalue',
];
/**
 * Set by `make demo`: the simd128 build serves relaxed-SIMD engines too, which run it as well, and there is no
 * baseline.
 */
const ONE_CORE = process.argv.includes('--one-core');
/** The modules, each with the name of its JavaScript glue and the further features that it needs. */
const MODULES = [
  ...(ONE_CORE
    ? [{ name: 'core-relaxed', from: 'core-simd128', glue: 'core', features: ['simd'] }]
    : [
        { name: 'core-baseline', glue: 'core', features: [] },
        { name: 'core-relaxed', glue: 'core', features: ['simd', 'relaxed-simd'] },
      ]),
  { name: 'core-simd128', glue: 'core', features: ['simd'] },
  { name: 'tower', glue: 'tower', features: ['simd'] },
  ...(process.argv.includes('--all') ? [{ name: 'tower-baseline', glue: 'tower', features: [] }] : []),
];
/**
 * The scripts of the package. Each is one file, so that a page fetches one file and not a tree of imports. `inline` has
 * those of the workers in it, so they are built before.
 */
const SCRIPTS = [['index', 'slim', 'sentences', 'react', 'element', 'worker', 'shard'], ['inline']];
/** Largest size of each artefact in brotli bytes. A larger one fails the build. */
const BUDGET = JSON.parse(read(at('sizes.json')));

/**
 * How wasm-opt makes a module smaller. A second pass saves another half a percent. `--low-memory-unused` may assume
 * that no data lies under address 1,024: there Rust keeps the far end of the stack.
 */
const OPTIMIZE = ['--low-memory-unused', '-Oz', '-Oz', '--strip-producers', '--strip-target-features'];

/**
 * The path of the module after wasm-opt. That takes minutes, so the result is kept until its input or the passes
 * change.
 */
function optimized(input, features) {
  const hash = createHash('sha256').update(OPTIMIZE.join()).update(fs.readFileSync(input)).digest('hex').slice(0, 16);
  const output = input.replace(/_bg\.wasm$/, `.${hash}.opt`);
  if (!fs.existsSync(output)) {
    const enabled = [...WASM_FEATURES, ...features].map((feature) => `--enable-${feature}`);
    run('wasm-opt', ...OPTIMIZE, ...enabled, input, '-o', `${output}.partial`);
    fs.renameSync(`${output}.partial`, output);
  }
  return output;
}

/** Copies a module and its glue into the package. */
function addModule({ name, from = name, glue, features }) {
  const out = (file) => at('dist/package/wasm', file);
  const optimal = fs.readFileSync(optimized(at('pkg', from, `${glue}_bg.wasm`), features));
  const short = withShortImports(optimal, read(at('pkg', from, `${glue}.js`)));
  fs.writeFileSync(out(`${name}.wasm`), short.wasm);
  // The package always passes the module's address. Without this change bundlers would look for a file that does not
  // exist.
  const noDefault = [/module_or_path = new URL\([^)]*\);/, "throw new Error('no module given');"];
  const text = short.glue.replace(...noDefault);
  if (fs.existsSync(out(`${glue}.js`)) && read(out(`${glue}.js`)) !== text) {
    throw new Error(`${name} needs different glue from the other builds of ${glue}`);
  }
  fs.writeFileSync(out(`${glue}.js`), text);
  // Users of the package need not have TypeScript's lib for explicit resource management.
  const types = read(at('pkg', from, `${glue}.d.ts`)).replace(/^ *\[Symbol\.dispose\].*\n/gm, '');
  fs.writeFileSync(out(`${glue}.d.ts`), types);
}

/** Changes of the glue of wasm-bindgen. */
const GLUE = [
  // An object of an instance that was dropped must not free its address in the next one when it is collected, so each
  // notes its instance. Engines that run the modules have `FinalizationRegistry`, and `encodeInto`.
  [
    /\(typeof FinalizationRegistry === 'undefined'\)\s+\? .*\s+: new FinalizationRegistry\(ptr => (wasm\.\w+)\(ptr, 1\)\)/g,
    'new FinalizationRegistry(([ptr, of]) => of === instance && $1(ptr, 1))',
  ],
  [/Finalization\.register\((\w+), \1\.__wbg_ptr, \1\)/g, 'Finalization.register($1, [$1.__wbg_ptr, instance], $1)'],
  [/if \(!\('encodeInto' in cachedTextEncoder\)\) \{[\s\S]*?\n\}\n/, ''],
  [/ {4}if \(realloc === undefined\) \{[\s\S]*?\n {4}\}\n/, ''],
  [/^if \(Symbol\.dispose\) .*\n/gm, ''],
  // Lets the page end an instance and start another one, which the glue itself cannot.
  [
    /^let wasmModule, wasmInstance, wasm;\n/m,
    `let wasmModule, wasmInstance, wasm, instance = 0;
export function forget() {
    wasm = wasmInstance = __wbg_init_promise = undefined;
    instance += 1;
}
export async function start(module) {
    const made = await WebAssembly.instantiate(module, __wbg_get_imports());
    return __wbg_finalize_init(made.instance ?? made, module);
}
`,
  ],
];

/** Makes those changes. */
function changeGlue(name) {
  const glue = at('dist/package/wasm', `${name}.js`);
  const change = (text, [pattern, by]) => {
    if (text.search(pattern) < 0) throw new Error(`the glue of wasm-bindgen has another form than ${pattern}`);
    return text.replace(pattern, by);
  };
  fs.writeFileSync(glue, GLUE.reduce(change, read(glue)));
  fs.appendFileSync(
    at('dist/package/wasm', `${name}.d.ts`),
    `
/** Starts an instance of the module. */
export function start(module: WebAssembly.Module): Promise<InitOutput>;
/** Drops the instance. Nothing of it may be used or freed afterwards. */
export function forget(): void;
`,
  );
}

for (const name of ['package', 'page', 'index.html', 'style.css']) {
  fs.rmSync(at('dist', name), { recursive: true, force: true });
}
fs.mkdirSync(at('dist/package/wasm'), { recursive: true });
MODULES.forEach(addModule);
new Set(MODULES.map((module) => module.glue)).forEach(changeGlue);

run('tsc', '-p', 'tsconfig.json');
for (const name of fs.readdirSync(at('dist/package')).filter((name) => name.endsWith('.js'))) {
  fs.rmSync(at('dist/package', name));
}
// The glue is in dist, beside the declarations that tsc wrote.
const resolveGlue = ({ path }) => ({ path: at('dist/package', path) });
const wasm = (name) => fs.readFileSync(at('dist/package/wasm', `${name}.wasm`));
/** A script that was built, without the address of its source map. */
const script = (path) => read(at('dist/package', path)).replace(/^\/\/# sourceMappingURL=.*$/m, '');
/** Names the modules of this build, from what is in them. */
const modulesBuild = () => {
  const hash = createHash('sha256');
  MODULES.forEach(({ name }) => hash.update(wasm(name)));
  return hash.digest('hex').slice(0, 12);
};
/** What the inline entry has in its script: the workers' scripts as they are, the modules as gzip in base64. */
const inlined = {
  name: 'inline',
  setup: (plugin) => {
    plugin.onResolve({ filter: /^inline:/ }, ({ path }) => ({ path: path.slice('inline:'.length), namespace: 'inline' }));
    plugin.onLoad({ filter: /.*/, namespace: 'inline' }, ({ path }) => ({
      contents: path.endsWith('.js') ? script(path) : gzipSync(wasm(path), { level: 9 }).toString('base64'),
      loader: 'text',
    }));
  },
};
/** React and the element use the package that the page has anyway. */
const useIndex = {
  name: 'index',
  setup: (plugin) => plugin.onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: './index.js', external: true })),
};
for (const names of SCRIPTS) {
  await build({
    entryPoints: names.map((name) => at('src/package', `${name}.ts`)),
    outdir: at('dist/package'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    plugins: [
      { name: 'glue', setup: (plugin) => plugin.onResolve({ filter: /^\.\/wasm\/.*js$/ }, resolveGlue) },
      inlined,
      useIndex,
    ],
    external: ['react'],
    define: {
      MODULE_BYTES: JSON.stringify(Object.fromEntries(MODULES.map(({ name }) => [name, wasm(name).length]))),
      MODULES_BUILD: JSON.stringify(modulesBuild()),
    },
    minify: true,
    sourcemap: true,
    legalComments: 'none',
  });
}
for (const glue of new Set(MODULES.map((module) => `${module.glue}.js`))) {
  const path = at('dist/package/wasm', glue);
  fs.writeFileSync(path, (await transform(read(path), { minify: true, format: 'esm' })).code);
}
// The modules are in the inline entry once; its source map need not have them again.
const map = JSON.parse(read(at('dist/package/inline.js.map')));
map.sourcesContent = map.sourcesContent.map((text, i) => (map.sources[i].startsWith('inline:') ? '' : text));
fs.writeFileSync(at('dist/package/inline.js.map'), JSON.stringify(map));
for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) fs.cpSync(at('..', name), at(name));
fs.cpSync(at('src/page/index.html'), at('dist/index.html'));
fs.cpSync(at('src/page/style.css'), at('dist/style.css'));

let tooLarge = false;
const number = (n) => String(n.toLocaleString('en')).padStart(11);
const columns = ['raw', 'gzip', 'brotli', 'budget'].map((name) => name.padStart(11));
console.log('bytes'.padEnd(22) + columns.join(''));
for (const [path, budget] of Object.entries(BUDGET)) {
  if (ONE_CORE && path === 'wasm/core-baseline.wasm') continue;
  const bytes = fs.readFileSync(at('dist/package', path));
  // As one block: where the encoder splits is luck and moves the size by up to two percent.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGBLOCK]: 24 };
  const brotli = brotliCompressSync(bytes, { params }).length;
  tooLarge ||= brotli > budget;
  console.log(path.padEnd(22) + [bytes.length, gzipSync(bytes, { level: 9 }).length, brotli, budget].map(number).join(''));
}
if (tooLarge) throw new Error('an artefact is over its budget (web/sizes.json, brotli bytes)');
