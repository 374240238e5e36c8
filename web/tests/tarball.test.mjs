// What npm gets: the packed package is complete, its metadata is right, and esbuild's output of it runs in a page.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { browser, join, nativeIds, root, serve, TINY, temporary, watchedPage, writeFileSync } from './support.mjs';

const web = join(root, 'web');
const run = (command, args, cwd = web) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

describe('the tarball', () => {
  const folder = temporary();
  const unpacked = join(folder, 'node_modules/foretaste');
  let files;
  let tarball;
  before(() => {
    const [packed] = Object.values(JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder])));
    tarball = join(folder, packed.filename);
    files = packed.files.map(({ path }) => path);
    mkdirSync(unpacked, { recursive: true });
    run('tar', ['xzf', tarball, '--strip-components=1', '-C', unpacked]);
  });

  test('has the licences, the pages and nothing but the package', () => {
    for (const name of ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'TROUBLESHOOTING.md'])
      assert.ok(files.includes(name), name);
    const others = files.filter((path) => !/^dist\/package\/(wasm\/)?[\w-]+\.(js|js\.map|d\.ts|wasm)$/.test(path));
    assert.deepEqual(others.sort(), ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'TROUBLESHOOTING.md', 'package.json']);
  });

  test('has a source map for each script, with the sources in it', () => {
    for (const path of files.filter((path) => /^dist\/package\/[^/]+\.js$/.test(path))) {
      const { sources, sourcesContent } = JSON.parse(readFileSync(join(unpacked, `${path}.map`), 'utf8'));
      assert.equal(sourcesContent.length, sources.length, path);
    }
  });

  test('has nothing that publint finds', async () => {
    const { messages, pkg } = await publint({ pkgDir: unpacked, pack: false });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    );
  });

  // Node requires ES modules since 20.19 and 22.12, and the package has no top-level await.
  test('has types that every way to resolve a package finds', () => {
    run(join(web, 'node_modules/.bin/attw'), [
      tarball,
      '--ignore-rules',
      'cjs-resolves-to-esm',
      '--exclude-entrypoints',
      './wasm/*',
    ]);
  });

  describe('in a page that esbuild made of it', () => {
    let chrome;
    before(async () => (chrome = await browser()));
    after(() => chrome.close());

    for (const [entry, needsFiles] of Object.entries({ foretaste: true, 'foretaste/inline': false })) {
      test(entry, async () => {
        const site = join(folder, needsFiles ? 'files' : 'inline');
        const script = join(folder, 'main.js');
        const trial = join(root, 'tests/matrix/projects/common/trial.js');
        writeFileSync(
          script,
          `import { load } from '${entry}';
import { trial } from ${JSON.stringify(trial)};
trial(load, new URL('bundle/', document.baseURI)).then((result) => (document.querySelector('#result').textContent = JSON.stringify(result)));`,
        );
        const { warnings } = await build({
          entryPoints: [script],
          bundle: true,
          format: 'esm',
          outdir: site,
          logLevel: 'silent',
        });
        assert.deepEqual(warnings, []);
        writeFileSync(
          join(site, 'index.html'),
          '<!doctype html><title>x</title><pre id="result"></pre><script type="module" src="main.js"></script>',
        );
        writeFileSync(join(site, 'favicon.ico'), '');
        cpSync(TINY, join(site, 'bundle'), { recursive: true });
        if (needsFiles) {
          for (const name of ['worker.js', 'shard.js', 'wasm']) {
            cpSync(join(unpacked, 'dist/package', name), join(site, name), { recursive: true });
          }
        }
        const host = await serve(site);
        const { page, messages } = await watchedPage(chrome);
        try {
          await page.goto(host.address);
          await page.waitForSelector('#result:not(:empty)');
          const result = JSON.parse(await page.textContent('#result'));
          const ids = nativeIds(TINY, '--history', '3,14', '-k', 5);
          assert.deepEqual([result.page.ids, result.worker.ids], [ids, ids], JSON.stringify(result));
          assert.deepEqual([result.page.features.workers, result.worker.features.workers], [0, needsFiles ? 1 : 0]);
          // The server's policy refuses the inline entry's worker, and the page does the work.
          assert.equal(result.worker.features.workerError === undefined, needsFiles);
          const others = messages.filter((message) => needsFiles || !/blob:.* Content Security Policy/.test(message));
          assert.deepEqual(others, []);
        } finally {
          await page.close();
          host.stop();
        }
      });
    }
  });
});
