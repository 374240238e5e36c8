// The cells of the matrix, in the order in which they run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Cell
 * @property {string} tool What the table shows.
 * @property {string} [mode] How the tool is used; modes with equal results share a row.
 * @property {string} project The folder of `projects/` whose package.json is installed.
 * @property {string[]} [files] Folders of `projects/` whose files are laid out below its own. Default: `common`.
 * @property {string} [bundle] Where the project keeps the bundle. Default: `public/bundle`.
 * @property {string[]} [build] A command that builds. Nothing that it prints may be a warning.
 * @property {Record<string, string>} [copy] What is copied into `dist` then, as the tool does not: from, to.
 * @property {string} [dist] The folder that is served then. Without it `dev` serves.
 * @property {string[]} [dev] A command that serves the project at `{port}`.
 * @property {string[]} [run] A command of a cell without a page; it prints `RESULT` and the result.
 * @property {string} [base] The path under which `dist` is served. Default: `/`.
 * @property {string} [path] The page's path below that.
 * @property {string[]} [clicks] What is clicked, one after the other. Each visit tells what was logged then.
 * @property {Record<string, string>} [headers] What the server sends besides.
 * @property {[pattern: RegExp, by: string][]} [edits] Changes of the project's files.
 * @property {Record<string, string>} [write] Further files, such as a configuration.
 * @property {string} [needs] What a reader must do besides; the table shows it.
 * @property {RegExp} [fails] The error that the page must show where it cannot work unconfigured.
 * @property {string[]} [visits] What the result has. Default: all visits; without a page those of `trial`.
 * @property {{ pattern: RegExp, count: number }} [logs] What the page itself writes to the console.
 * @property {number} [within] Seconds from the start of `npm install`, with nothing kept from before, to the slate.
 * @property {boolean} [firefox] Whether Firefox opens it too.
 */

const PACKAGE = 'node_modules/foretaste/dist/package';
const PUBLIC = { public: '.' };
/** Turns a project's imports to the entry that has the modules in its script. */
const INLINE = [[/from 'foretaste'/, "from 'foretaste/inline'"]];

const VITE_BUILD = { mode: 'build', build: ['vite', 'build'], dist: 'dist' };
const VITE_DEV = { mode: 'dev', dev: ['vite', '--port', '{port}', '--strictPort'] };

/** @returns {Cell[]} */
const vite = (version) => {
  const project = `vite${version}`;
  const tool = `Vite ${version}`;
  const built = { ...VITE_BUILD, tool, project, firefox: version === 8 };
  const dev = { ...VITE_DEV, tool, project };
  if (version === 8) return [built, dev];
  // The development server of these versions moves a package away from its files.
  const config = "export default { optimizeDeps: { exclude: ['foretaste'] } };\n";
  return [
    built,
    { ...dev, mode: 'dev, as it comes', fails: /optimizeDeps/ },
    {
      ...dev,
      write: { 'vite.config.js': config },
      needs: "`optimizeDeps: { exclude: ['foretaste'] }`",
    },
    { ...dev, mode: 'dev, inline', edits: INLINE, needs: '`foretaste/inline`' },
  ];
};

/** Components: a slate from the page and one from a worker, of each of which the first item is clicked. */
const VISITS = ['page', 'worker'];
const components = (link) => ({ visits: VISITS, clicks: VISITS.map((name) => `#${name}.ready ${link}`) });
const react = { ...components('.link'), files: ['common', 'react'] };
const reactInVite = { ...react, tool: 'React 19 in Vite 8', project: 'react-vite8' };
// The element's links are in its shadow tree.
const element = { ...components('>>> .link'), files: ['common', 'element'] };
const elementInVite = { ...element, tool: 'The element in Vite 8', project: 'vite8' };
const elementInVue = { ...element, tool: 'The element in Vue 3', project: 'vue', needs: '`isCustomElement`' };

/** @returns {Cell[]} */
const next = (version, builders, more = {}) => {
  const at = { tool: `Next ${version}`, project: `next${version}`, files: ['common', 'next'], ...more };
  return Object.entries(builders).flatMap(([builder, flags]) => [
    {
      ...at,
      mode: `build with ${builder}`,
      build: ['next', 'build', ...flags],
      dev: ['next', 'start', '--port', '{port}'],
    },
    { ...at, mode: `dev with ${builder}`, dev: ['next', 'dev', ...flags, '--port', '{port}'] },
  ]);
};

const esbuild = ['esbuild', 'main.js', 'own.js', '--bundle', '--format=esm', '--minify', '--log-level=warning', '--outdir=dist'];
const SCRIPTS = { [`${PACKAGE}/worker.js`]: 'worker.js', [`${PACKAGE}/shard.js`]: 'shard.js', [`${PACKAGE}/wasm`]: 'wasm' };
const PAGE = { 'index.html': 'index.html', ...PUBLIC };

/** A page without a bundler: the package's files lie beside it. */
const plain = { project: 'plain', files: ['common', 'plain'], firefox: true };
const VENDOR = [[/from 'foretaste'/, "from './foretaste/index.js'"]];
const beside = (page, bundle, scripts = ['own.js']) => ({
  ...Object.fromEntries(['index.html', 'main.js', 'trial.js', ...scripts].map((name) => [name, page + name])),
  [PACKAGE]: `${page}foretaste`,
  'public/bundle': bundle,
});

/** A page whose policy allows no icon in its text. */
const iconless = (path) => readFileSync(join(import.meta.dirname, 'projects', path), 'utf8').replace(/ *<link .*\n/, '');

/** A newcomer's path: the lines of the package's README in a new project. */
const [, lines] = /```js\n([\s\S]*?)```/.exec(readFileSync(join(import.meta.dirname, '../../web/README.md'), 'utf8'));
const newcomer = {
  tool: "The README's lines in a new Vite project",
  project: 'newcomer',
  files: [],
  write: { 'main.js': `${lines}document.querySelector('#result').textContent = '{}';\n` },
  visits: [],
  logs: { pattern: /^log: \d+ .+ [\d.e-]+$/, count: 5 },
};

const STRICT = { 'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" };

const svelte = { tool: 'SvelteKit', project: 'sveltekit', files: ['common', 'element'], bundle: 'static/bundle' };
/** @type {Cell[]} */
const sveltekit = [
  { ...svelte, mode: 'build', build: ['vite', 'build'], dev: ['vite', 'preview', '--port', '{port}', '--strictPort'] },
  { ...svelte, mode: 'dev', dev: ['vite', 'dev', '--port', '{port}', '--strictPort'] },
];

/** @type {Cell[]} */
const cells = [
  { ...VITE_DEV, ...newcomer, mode: 'dev within 60 s of `npm install`', within: 60 },
  { ...VITE_BUILD, ...newcomer },
  ...vite(8),
  {
    tool: 'webpack 5',
    project: 'webpack5',
    build: ['webpack'],
    copy: PUBLIC,
    dist: 'dist',
    firefox: true,
    needs: '`performance.assetFilter`, or it warns of the size of the modules',
  },
  {
    tool: 'esbuild',
    project: 'esbuild',
    build: esbuild,
    copy: { ...PAGE, ...SCRIPTS },
    dist: 'dist',
    needs: 'a copy of the files',
  },
  {
    tool: 'esbuild',
    mode: 'inline',
    project: 'esbuild',
    build: esbuild,
    edits: INLINE,
    copy: PAGE,
    dist: 'dist',
    needs: '`foretaste/inline`',
  },
  ...next(16, { Turbopack: [], webpack: ['--webpack'] }),
  ...next(15, { Turbopack: ['--turbopack'], webpack: [] }),
  ...[7, 6, 5].flatMap(vite),
  {
    tool: 'Rollup',
    mode: 'with a plugin',
    project: 'rollup',
    build: ['rollup', '--config'],
    copy: PAGE,
    dist: 'dist',
    visits: ['page', 'worker'],
    edits: [[/await ownTrial.*/, '{};']],
    needs: '`@web/rollup-plugin-import-meta-assets`',
  },
  {
    tool: 'Rollup',
    project: 'rollup',
    build: ['rollup', '--config', 'rollup.plain.js'],
    copy: { ...PAGE, ...SCRIPTS },
    dist: 'dist',
    needs: 'a copy of the files',
  },
  {
    tool: 'Parcel',
    mode: 'build',
    project: 'parcel',
    build: ['parcel', 'build', 'index.html', '--no-cache', '--log-level', 'warn'],
    copy: PUBLIC,
    dist: 'dist',
  },
  {
    tool: 'Parcel',
    mode: 'dev',
    project: 'parcel',
    bundle: 'dist/bundle',
    dev: ['parcel', 'serve', 'index.html', '--port', '{port}', '--no-cache'],
  },
  ...sveltekit,
  { tool: 'Astro', mode: 'build', project: 'astro', build: ['astro', 'build'], dist: 'dist' },
  { tool: 'Astro', mode: 'dev', project: 'astro', dev: ['astro', 'dev', '--port', '{port}'] },
  { ...plain, tool: 'A plain page', mode: 'at the root', edits: VENDOR, dist: 'site', copy: beside('', 'bundle') },
  {
    ...plain,
    tool: 'A plain page',
    mode: 'under a path',
    base: '/shop/deep/',
    edits: VENDOR,
    dist: 'site',
    copy: beside('', 'bundle'),
  },
  {
    ...plain,
    tool: 'A plain page',
    mode: 'bundle in another folder',
    edits: [...VENDOR, [/'bundle\/'/, "'/static/films'"]],
    dist: 'site',
    copy: beside('', 'static/films'),
  },
  {
    ...plain,
    tool: 'A plain page',
    mode: 'strict policy',
    headers: STRICT,
    edits: VENDOR,
    dist: 'site',
    copy: beside('', 'bundle'),
  },
  { ...VITE_BUILD, ...reactInVite, firefox: true },
  { ...VITE_DEV, ...reactInVite },
  ...next(
    16,
    { Turbopack: [], webpack: ['--webpack'] },
    {
      ...react,
      tool: 'React 19 in Next 16',
      files: ['common', 'next', 'react'],
      write: { 'app/slate.jsx': "'use client';\n\nexport { Slates as Slate } from '../slates.jsx';\n" },
    },
  ),
  { ...VITE_BUILD, ...elementInVite, firefox: true },
  { ...VITE_DEV, ...elementInVite },
  {
    ...element,
    tool: 'The element in esbuild',
    project: 'esbuild',
    build: esbuild,
    copy: { ...PAGE, ...SCRIPTS },
    dist: 'dist',
    needs: 'a copy of the files',
  },
  { ...VITE_BUILD, ...elementInVue },
  { ...VITE_DEV, ...elementInVue },
  ...sveltekit.map((cell) => ({
    ...cell,
    ...element,
    tool: 'The element in SvelteKit',
    path: 'element',
    needs: '`src` set in `onMount`',
  })),
  {
    ...plain,
    ...element,
    tool: 'The element in a plain page',
    mode: 'strict policy',
    headers: STRICT,
    write: { 'index.html': iconless('element/index.html') },
    edits: [[/'foretaste\/element'/, "'./foretaste/element.js'"]],
    dist: 'site',
    copy: beside('', 'bundle', ['slates.js', 'clicked.js']),
  },
  { tool: 'Node 20', project: 'node20', files: ['common', 'node'], run: ['node', 'main.js'] },
  { tool: 'Node 22', project: 'node22', files: ['common', 'node'], run: ['node', 'main.js'] },
  { tool: 'TypeScript 5.9 and 7', project: 'types', files: [], run: ['node', 'main.js'], visits: [] },
  { tool: 'vitest', mode: 'node', project: 'vitest', run: ['vitest', 'run', '--environment=node'] },
  { tool: 'vitest', mode: 'jsdom', project: 'vitest', run: ['vitest', 'run', '--environment=jsdom'] },
];

/** Each with its name, for the log and to be chosen by. */
export const CELLS = cells.map((cell) => ({ ...cell, name: [cell.tool, cell.mode].filter(Boolean).join(' ') }));
