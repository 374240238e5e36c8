// The cells of the matrix, in the order in which they run.

/**
 * @typedef {object} Cell
 * @property {string} name What the table shows.
 * @property {string} project The folder of `projects/` whose package.json is installed.
 * @property {string[]} [files] Folders of `projects/` whose files are laid out below its own. Default: `common`.
 * @property {string} [bundle] Where the project keeps the bundle. Default: `public/bundle`.
 * @property {string[]} [build] A command that builds. Nothing that it prints may be a warning.
 * @property {Record<string, string>} [copy] What is copied into `dist` then, as the tool does not: from, to.
 * @property {string} [dist] The folder that is served then. Without it `dev` serves.
 * @property {string[]} [dev] A command that serves the project at `{port}`.
 * @property {string[]} [run] A command of a cell without a page; it prints `RESULT` and the result.
 * @property {string} [base] The path under which `dist` is served. Default: `/`.
 * @property {Record<string, string>} [headers] What the server sends besides.
 * @property {[pattern: RegExp, by: string][]} [edits] Changes of the project's files.
 * @property {Record<string, string>} [write] Further files, such as a configuration.
 * @property {string} [needs] What a reader must do besides; the table shows it.
 * @property {RegExp} [fails] The error that the page must show where it cannot work unconfigured.
 * @property {boolean} [own] `false`: without a worker of the page's own.
 * @property {boolean} [firefox] Whether Firefox opens it too.
 */

const PACKAGE = 'node_modules/foretaste/dist/package';
const PUBLIC = { public: '.' };
/** Turns a project's imports to the entry that has the modules in its script. */
const INLINE = [[/from 'foretaste'/, "from 'foretaste/inline'"]];

/** @returns {Cell[]} */
const vite = (version) => {
  const project = `vite${version}`;
  const built = { name: `Vite ${version} build`, project, build: ['vite', 'build'], dist: 'dist', firefox: version === 8 };
  const dev = { project, dev: ['vite', '--port', '{port}', '--strictPort'] };
  if (version === 8) return [built, { ...dev, name: 'Vite 8 dev' }];
  // The development server of these versions moves a package away from its files.
  const config = "export default { optimizeDeps: { exclude: ['foretaste'] } };\n";
  return [
    built,
    {
      ...dev,
      name: `Vite ${version} dev`,
      write: { 'vite.config.js': config },
      needs: "`optimizeDeps: { exclude: ['foretaste'] }`",
    },
    { ...dev, name: `Vite ${version} dev, inline`, edits: INLINE, needs: '`foretaste/inline`' },
    { ...dev, name: `Vite ${version} dev, as it comes`, fails: /optimizeDeps/ },
  ];
};

/** @returns {Cell[]} */
const next = (version, builders) => {
  const at = { project: `next${version}`, files: ['common', 'next'] };
  return Object.entries(builders).flatMap(([builder, flags]) => [
    {
      ...at,
      name: `Next ${version} build, ${builder}`,
      build: ['next', 'build', ...flags],
      dev: ['next', 'start', '--port', '{port}'],
    },
    { ...at, name: `Next ${version} dev, ${builder}`, dev: ['next', 'dev', ...flags, '--port', '{port}'] },
  ]);
};

const esbuild = ['esbuild', 'main.js', 'own.js', '--bundle', '--format=esm', '--minify', '--log-level=warning', '--outdir=dist'];
const SCRIPTS = { [`${PACKAGE}/worker.js`]: 'worker.js', [`${PACKAGE}/shard.js`]: 'shard.js', [`${PACKAGE}/wasm`]: 'wasm' };
const PAGE = { 'index.html': 'index.html', ...PUBLIC };

/** A page without a bundler: the package's files lie beside it. */
const plain = { project: 'plain', files: ['common', 'plain'], firefox: true };
const VENDOR = [[/from 'foretaste'/, "from './foretaste/index.js'"]];
const beside = (page, bundle) => ({
  ...Object.fromEntries(['index.html', 'main.js', 'own.js', 'trial.js'].map((name) => [name, page + name])),
  [PACKAGE]: `${page}foretaste`,
  'public/bundle': bundle,
});

/** @type {Cell[]} */
export const CELLS = [
  ...vite(8),
  {
    name: 'webpack 5',
    project: 'webpack5',
    build: ['webpack'],
    copy: PUBLIC,
    dist: 'dist',
    firefox: true,
    needs: '`performance.assetFilter`, or it warns of the size of the modules',
  },
  {
    name: 'esbuild',
    project: 'esbuild',
    build: esbuild,
    copy: { ...PAGE, ...SCRIPTS },
    dist: 'dist',
    needs: 'a copy of the files',
  },
  {
    name: 'esbuild, inline',
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
    name: 'Rollup, import-meta-assets',
    project: 'rollup',
    build: ['rollup', '--config'],
    copy: PAGE,
    dist: 'dist',
    own: false,
    edits: [[/await ownTrial.*/, '{};']],
    needs: '`@web/rollup-plugin-import-meta-assets`',
  },
  {
    name: 'Rollup',
    project: 'rollup',
    build: ['rollup', '--config', 'rollup.plain.js'],
    copy: { ...PAGE, ...SCRIPTS },
    dist: 'dist',
    needs: 'a copy of the files',
  },
  { name: 'Parcel build', project: 'parcel', build: ['parcel', 'build', 'index.html', '--no-cache'], copy: PUBLIC, dist: 'dist' },
  {
    name: 'Parcel dev',
    project: 'parcel',
    bundle: 'dist/bundle',
    dev: ['parcel', 'serve', 'index.html', '--port', '{port}', '--no-cache'],
  },
  {
    name: 'SvelteKit build',
    project: 'sveltekit',
    bundle: 'static/bundle',
    build: ['vite', 'build'],
    dev: ['vite', 'preview', '--port', '{port}', '--strictPort'],
  },
  {
    name: 'SvelteKit dev',
    project: 'sveltekit',
    bundle: 'static/bundle',
    dev: ['vite', 'dev', '--port', '{port}', '--strictPort'],
  },
  { name: 'Astro build', project: 'astro', build: ['astro', 'build'], dist: 'dist' },
  { name: 'Astro dev', project: 'astro', dev: ['astro', 'dev', '--port', '{port}'] },
  { ...plain, name: 'A plain page', edits: VENDOR, dist: 'site', copy: beside('', 'bundle') },
  { ...plain, name: 'A plain page under a path', base: '/shop/deep/', edits: VENDOR, dist: 'site', copy: beside('', 'bundle') },
  {
    ...plain,
    name: 'The bundle in another folder',
    edits: [...VENDOR, [/'bundle\/'/, "'/static/films'"]],
    dist: 'site',
    copy: beside('', 'static/films'),
  },
  {
    ...plain,
    name: 'A strict content security policy',
    headers: { 'content-security-policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" },
    edits: VENDOR,
    dist: 'site',
    copy: beside('', 'bundle'),
  },
  { name: 'Node 20', project: 'node20', files: ['common', 'node'], run: ['node', 'main.js'] },
  { name: 'Node 22', project: 'node22', files: ['common', 'node'], run: ['node', 'main.js'] },
  { name: 'vitest, node', project: 'vitest', run: ['vitest', 'run', '--environment=node'] },
  { name: 'vitest, jsdom', project: 'vitest', run: ['vitest', 'run', '--environment=jsdom'] },
];
