// Installs the packed package in the projects of `cells.mjs`, builds and serves them, opens each in a browser and
// checks that it recommends, with an empty console and no warning in the build. Writes target/matrix/table.md, and
// after a whole run without a fault the table of web/TROUBLESHOOTING.md.
// usage: node run.mjs TARBALL [WORD…]     cells whose name or project starts with a word; without one all cells
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { Browsers, freePort, serve } from './browsers.mjs';
import { CELLS } from './cells.mjs';
import { expectedSlate, publish, root, table } from './results.mjs';

const here = import.meta.dirname;
const work = join(root, 'target/matrix');
const [tarball, ...words] = process.argv.slice(2);
const plain = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, '');
const chosen = CELLS.filter(
  ({ name, project }) =>
    words.length === 0 || words.some((word) => [name, project].some((text) => plain(text).startsWith(plain(word)))),
);
if (chosen.length === 0) throw new Error(`no cell starts with ${words.join(' or ')}`);

/** The tools run by this Node, since some of them refuse older ones. */
const NODE = 'node22';
const env = {
  ...process.env,
  BROWSER: 'none',
  NEXT_TELEMETRY_DISABLED: '1',
  ASTRO_TELEMETRY_DISABLED: '1',
  npm_config_update_notifier: 'false',
  npm_config_engine_strict: 'true',
};
for (const name of ['NODE_OPTIONS', 'CI', 'FORCE_COLOR']) delete env[name];
/** Longest time of a build or of a start, in milliseconds. A build that hangs is a finding. */
const LIMIT = 120_000;

/** Starts a command in a process group of its own. Its output is collected. */
function start(command, cwd) {
  const [name, ...args] = command;
  const path = [join(cwd, 'node_modules/.bin'), join(work, NODE, 'node_modules/.bin'), process.env.PATH].join(':');
  const child = spawn(name, args, { cwd, env: { ...env, PATH: path }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const started = { output: '', ended: undefined, stop: () => {} };
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => (started.output += stripVTControlCharacters(String(data))));
  started.ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  started.stop = async () => {
    try {
      process.kill(-child.pid, 'SIGTERM');
      await Promise.race([started.ended, new Promise((resolve) => setTimeout(resolve, 3000))]);
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The whole group has ended.
    }
  };
  return started;
}

/** Runs a command to its end and returns what it printed. */
async function run(command, cwd) {
  const started = start(command, cwd);
  const timer = setTimeout(started.stop, LIMIT);
  const began = Date.now();
  const code = await started.ended;
  clearTimeout(timer);
  const hung = Date.now() - began >= LIMIT;
  if (code !== 0) {
    throw new Error(
      `${command.join(' ')}: ${hung ? `has not ended after ${LIMIT / 1000} s` : `exit code ${code}`}\n${started.output.trim()}`,
    );
  }
  return started.output;
}

const hash = createHash('sha256').update(fs.readFileSync(tarball)).digest('hex').slice(0, 16);
const packed = join(work, `foretaste-${hash}.tgz`);
fs.mkdirSync(work, { recursive: true });
for (const old of fs.readdirSync(work).filter((name) => name.endsWith('.tgz'))) fs.rmSync(join(work, old));
fs.copyFileSync(tarball, packed);

/** Installs a project's packages and the package, unless they are there. `fresh` takes nothing from before. */
async function install(project, { withPackage = true, fresh = false } = {}) {
  const folder = join(work, project);
  const cache = fresh ? join(folder, 'npm') : join(work, 'npm');
  if (fresh) fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const manifest = JSON.parse(fs.readFileSync(join(here, 'projects', project, 'package.json'), 'utf8'));
  if (withPackage) manifest.dependencies = { ...manifest.dependencies, foretaste: `file:../${basename(packed)}` };
  const text = JSON.stringify(manifest, null, 2);
  const stamp = join(folder, 'node_modules/.installed');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === text) return folder;
  fs.writeFileSync(join(folder, 'package.json'), text);
  await run(['npm', 'install', '--cache', cache, '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'], folder);
  fs.writeFileSync(stamp, text);
  return folder;
}

/** Lays out a cell's files in the project's folder. What an earlier cell left there is removed, caches too. */
function layOut(cell, folder) {
  for (const name of fs.readdirSync(folder)) {
    if (!['node_modules', 'package.json', 'package-lock.json'].includes(name)) fs.rmSync(join(folder, name), { recursive: true });
  }
  for (const cache of ['.vite', '.cache', '.astro', '.vite-temp'])
    fs.rmSync(join(folder, 'node_modules', cache), { recursive: true, force: true });
  for (const from of [...(cell.files ?? ['common']), cell.project]) {
    fs.cpSync(join(here, 'projects', from), folder, { recursive: true, filter: (path) => basename(path) !== 'package.json' });
  }
  const sources = fs
    .readdirSync(folder, { recursive: true })
    .filter((name) => /^(?!node_modules|public).*\.(jsx?|mjs|ts|svelte|astro)$/.test(name));
  for (const name of cell.edits ? sources : []) {
    const text = fs.readFileSync(join(folder, name), 'utf8');
    fs.writeFileSync(
      join(folder, name),
      cell.edits.reduce((text, [pattern, by]) => text.replace(pattern, by), text),
    );
  }
  for (const [name, text] of Object.entries(cell.write ?? {})) fs.writeFileSync(join(folder, name), text);
  fs.cpSync(join(root, 'models/tiny'), join(folder, cell.bundle ?? 'public/bundle'), { recursive: true });
}

/** Copies what the tool does not. */
function copyMore(cell, folder) {
  for (const [from, to] of Object.entries(cell.copy ?? {})) {
    fs.cpSync(join(folder, from), join(folder, cell.dist, to), { recursive: true });
  }
}

const WARNING = /\bwarn(ing)?s?\b|⚠|\(!\)|\bdeprecat/i;

/** Runs one cell. Throws what is wrong with it. */
async function runCell(cell, browsers, expected) {
  const folder = await install(cell.project, { fresh: cell.within !== undefined });
  layOut(cell, folder);
  if (cell.run) {
    const output = await run(cell.run, folder);
    const [, result] = /^RESULT (.*)$/m.exec(output) ?? [];
    if (!result || WARNING.test(output)) throw new Error(`no result, or a warning:\n${output}`);
    return { chrome: expected.check(JSON.parse(result), cell) };
  }
  if (cell.build) {
    const output = await run(cell.build, folder);
    fs.writeFileSync(join(work, `${plain(cell.name)}.log`), output);
    const warnings = output.split('\n').filter((line) => WARNING.test(line));
    if (warnings.length > 0) throw new Error(`the build warns: ${warnings.join(' | ')}`);
  }
  copyMore(cell, folder);
  const port = await freePort();
  const server = cell.dev
    ? start(
        cell.dev.map((word) => word.replace('{port}', port)),
        folder,
      )
    : await serve(join(folder, cell.dist), { port, base: cell.base, headers: cell.headers });
  try {
    const url = `http://localhost:${port}${cell.base ?? '/'}${cell.path ?? ''}`;
    const results = {};
    const asked = { clicks: cell.clicks, logs: cell.logs, faulty: cell.fails !== undefined };
    for (const name of ['chrome', ...(cell.firefox ? ['firefox'] : [])]) {
      const dev = cell.dev !== undefined && cell.build === undefined;
      const found = await browsers.open(name, url, { ...asked, dev, limit: LIMIT / 3 });
      results[name] = expected.check(found, cell);
    }
    return results;
  } catch (error) {
    const printed = [...new Set(server.output?.trim().split('\n') ?? [])].slice(0, 40);
    throw new Error([error.message, ...printed].join('\n'));
  } finally {
    await server.stop();
  }
}

await install(NODE, { withPackage: false });
const expected = await expectedSlate();
const browsers = new Browsers();
const rows = [];
try {
  for (const cell of chosen) {
    const began = Date.now();
    let fault;
    let results = {};
    try {
      results = await runCell(cell, browsers, expected);
    } catch (error) {
      fault = error.message;
    }
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    if (seconds > cell.within) fault ??= `it took ${seconds} s, at most ${cell.within} s are allowed`;
    rows.push({ cell, results, fault });
    console.log(`${fault ? 'FAIL' : 'ok  '} ${cell.name} (${seconds} s)`);
    if (fault) console.log(fault.replace(/^/gm, '       '));
  }
} finally {
  await browsers.close();
}
const text = table(rows);
fs.writeFileSync(join(work, 'table.md'), text);
console.log(`\n${text}`);
if (rows.some(({ fault }) => fault)) process.exitCode = 1;
else if (words.length === 0) publish(text);
