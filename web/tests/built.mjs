// Builds scripts of React with esbuild, as a user's bundler would.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { DIST, join, root } from './support.mjs';

const web = join(root, 'web');
const { resolve } = createRequire(join(web, 'package.json'));

/** The entries of the package are files in dist. */
const entry = (path) => join(DIST, 'package', `${path.split('/')[1] ?? 'index'}.js`);
const resolving = (filter, to) => ({ name: String(filter), setup: (plugin) => plugin.onResolve({ filter }, to) });
const external = (path) => ({ path, external: true });

/** Builds a script for Node, with the package and React outside. */
export async function builtForNode(source, out) {
  const plugins = [
    resolving(/^foretaste/, ({ path }) => external(pathToFileURL(entry(path)).href)),
    // React must be the same for the package's script and this one.
    resolving(/^react/, ({ path }) => external(pathToFileURL(resolve(path)).href)),
  ];
  await bundled(source, out, { platform: 'node', plugins });
  return import(pathToFileURL(out).href);
}

/** Builds a script for a page, with React and the package's React entry in it and the rest of the package outside. */
export async function builtForPage(source, out) {
  const plugins = [
    resolving(/^foretaste/, ({ path }) => ({ path: entry(path) })),
    resolving(/^\.\/index\.js$/, () => external('/package/index.js')),
  ];
  await bundled(source, out, { platform: 'browser', plugins });
}

async function bundled(source, out, options) {
  await build({
    ...(source.includes('\n') ? { stdin: { contents: source, loader: 'jsx', resolveDir: web } } : { entryPoints: [source] }),
    outfile: out,
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    nodePaths: [join(web, 'node_modules')],
    // React's development build warns of what it does not like.
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'error',
    ...options,
  });
}

/** Messages of a console without the one line that React's development build always writes. */
export const words = (messages) => messages.filter((message) => !message.includes('Download the React DevTools'));
