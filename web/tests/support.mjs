// Helpers that the tests share: the command, a server, a browser page that notes console messages and requests.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const root = join(import.meta.dirname, '../..');
export const TINY = join(root, 'models/tiny');
export const DIST = join(root, 'web/dist');
export const TINY_SETTINGS = join(root, 'tests/fixtures/tiny.toml');

/** Runs `foretaste` and returns its standard output. */
export function foretaste(...args) {
  return execFileSync(join(root, 'target/release/foretaste'), args.map(String), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Ids of the slate that the native command prints. */
export function nativeIds(bundle, ...args) {
  return JSON.parse(foretaste('recommend', bundle, ...args, '--json')).items.map((item) => item.id);
}

const temporaries = [];
process.on('exit', () => temporaries.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A new folder that is deleted when the tests end. */
export function temporary() {
  const folder = mkdtempSync(join(tmpdir(), 'foretaste-test-'));
  temporaries.push(folder);
  return folder;
}

/** A new folder with the built page and a bundle. */
export function site(bundle) {
  const folder = temporary();
  cpSync(DIST, folder, { recursive: true, filter: (path) => path !== join(DIST, 'bundle') });
  cpSync(bundle, join(folder, 'bundle'), { recursive: true });
  return folder;
}

/** A copy of a bundle, changed by `change`. */
export function changed(bundle, change) {
  const folder = temporary();
  cpSync(bundle, folder, { recursive: true });
  change(folder);
  return folder;
}

/** Changes the manifest of the bundle in a folder. */
export function editManifest(folder, change) {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  change(manifest);
  writeFileSync(path, JSON.stringify(manifest));
}

/** Faulty copies of a bundle, each with the code of the error that must refuse it. */
export function faultyBundles(bundle) {
  const file = (start) => readdirSync(bundle).find((name) => name.startsWith(start));
  const edit = (name, change) => (folder) => writeFileSync(join(folder, name), change(readFileSync(join(folder, name))));
  const flip = (bytes) => {
    bytes[bytes.length >> 1] ^= 1;
    return bytes;
  };
  const manifest = (change) => (folder) => editManifest(folder, change);
  return [
    ['a flipped byte of the rows', 'hash', edit(file('items-'), flip)],
    ['a flipped byte of a graph', 'hash', edit(file('user_tower'), flip)],
    ['a truncated catalog', 'length', edit(file('catalog-'), (bytes) => bytes.subarray(0, bytes.length - 9))],
    ['an unknown key', 'unknown-key', manifest((m) => (m.surprise = 1))],
    ['an unknown required feature', 'unknown-feature', manifest((m) => m.features.required.push('telepathy'))],
    ['a newer version', 'too-new', manifest((m) => (m.format_version = 2))],
    ['a path outside', 'path', manifest((m) => (m.files[0].path = '../secret'))],
    ['HTML for JSON', 'malformed', (folder) => writeFileSync(join(folder, 'manifest.json'), '<!doctype html>')],
  ].map(([name, code, change]) => ({ name, code, folder: changed(bundle, change) }));
}

/** A copy of a bundle with a file of an unknown optional feature. */
export function withOptionalFeature(bundle) {
  const sha256 = createHash('sha256').update('abc').digest('hex');
  return changed(bundle, (folder) =>
    editManifest(folder, (m) => {
      m.features.optional.push('later-idea');
      m.files.push({ path: 'later.bin', role: 'later', bytes: 3, sha256, feature: 'later-idea' });
    }),
  );
}

/** A copy of a bundle whose catalog has other names of columns. */
export function renamedColumns(bundle, names) {
  return changed(bundle, (folder) =>
    editManifest(folder, (manifest) => {
      const file = manifest.files.find(({ role }) => role === 'catalog');
      const rename = (text) => Object.entries(names).reduce((text, [from, to]) => text.replace(`"${from}":`, `"${to}":`), text);
      const text = rename(readFileSync(join(folder, file.path), 'utf8'));
      writeFileSync(join(folder, file.path), text);
      Object.assign(file, { bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') });
    }),
  );
}

/** A copy of a bundle with its one item file split in two. The first has `rows` rows, a multiple of 16. */
export function inTwoFiles(bundle, rows) {
  return changed(bundle, (folder) =>
    editManifest(folder, (manifest) => {
      const at = manifest.files.findIndex((file) => file.role === 'items');
      const whole = manifest.files[at];
      const bytes = readFileSync(join(folder, whole.path));
      const length = Number(bytes.readBigUInt64LE());
      const tensors = JSON.parse(bytes.subarray(8, 8 + length));
      delete tensors.__metadata__;
      const part = (from, to, path) => {
        const pieces = [];
        const header = {};
        let offset = 0;
        for (const [
          name,
          {
            dtype,
            shape,
            data_offsets: [start, end],
          },
        ] of Object.entries(tensors)) {
          // The codebook belongs to the whole file, codes come in blocks of 16 rows, every other tensor has one entry a
          // row.
          const [low, high] =
            name === 'codebook' ? [0, shape[0]] : name === 'codes' ? [from / 16, Math.ceil(to / 16)] : [from, to];
          const size = (end - start) / shape[0];
          pieces.push(bytes.subarray(8 + length + start + low * size, 8 + length + start + high * size));
          header[name] = { dtype, shape: [high - low, ...shape.slice(1)], data_offsets: [offset, offset + (high - low) * size] };
          offset += (high - low) * size;
        }
        const text = Buffer.from(JSON.stringify(header));
        const size = Buffer.alloc(8);
        size.writeBigUInt64LE(BigInt(text.length));
        const file = Buffer.concat([size, text, ...pieces]);
        writeFileSync(join(folder, path), file);
        return { ...whole, path, bytes: file.length, rows: to - from, sha256: createHash('sha256').update(file).digest('hex') };
      };
      manifest.files.splice(at, 1, part(0, rows, 'items-a.safetensors'), part(rows, whole.rows, 'items-b.safetensors'));
      rmSync(join(folder, whole.path));
    }),
  );
}

/** The code of the error that a promise ends with; `accepted` if there is none. */
export const codeOf = async (promise) =>
  promise.then(
    () => 'accepted',
    (error) => (error?.name === 'AbortError' ? error.name : (error?.code ?? `untyped ${error?.name}: ${error?.message}`)),
  );

/**
 * Makes functions of the WASM modules trap: the next call of the export `next` does. Only for instances that are made
 * later. Counts the instances of each module.
 */
export function trapping() {
  const traps = { next: undefined, instances: { core: 0, tower: 0 } };
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...args) => {
    const made = await instantiate(...args);
    const { exports } = made;
    // Node has modules of its own.
    if (!exports?.tower_run && !exports?.core_new) return made;
    traps.instances[exports.tower_run ? 'tower' : 'core'] += 1;
    const trapped = (name, call) => {
      if (traps.next !== name) return call;
      traps.next = undefined;
      throw new WebAssembly.RuntimeError('unreachable');
    };
    const wrapped = Object.entries(exports).map(([name, value]) =>
      typeof value === 'function' ? [name, (...args) => trapped(name, value)(...args)] : [name, value],
    );
    return { instance: { exports: Object.fromEntries(wrapped) }, module: args[0] };
  };
  return traps;
}

/** Starts `foretaste serve` on a free port; `stop` ends it. */
export async function serve(folder) {
  const child = spawn(join(root, 'target/release/foretaste'), ['serve', folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data)));
    child.once('exit', () => reject(new Error('the server ended')));
  });
  return { address: /http:\S+/.exec(line)[0], stop: () => child.kill('SIGINT') };
}

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', json: 'application/json', wasm: 'application/wasm' };

/** Serves a folder with headers of the test's choice; `stop` ends it. */
export async function statics(folder, headers = {}) {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname)));
    // Browsers ask for it by themselves.
    if (path.endsWith('favicon.ico')) response.writeHead(204).end();
    else if (!existsSync(path) || statSync(path).isDirectory()) response.writeHead(404).end();
    else
      response
        .writeHead(200, { 'content-type': TYPES[path.split('.').at(-1)] ?? 'application/octet-stream', ...headers })
        .end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}

/** Starts Chromium; with `profile`, a folder, it keeps its data there. */
export async function browser({ profile, args = [] } = {}) {
  const executablePath = execFileSync(join(root, '.ci/browser'), ['chrome'], { encoding: 'utf8' }).trim();
  const options = { executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...args] };
  return profile ? chromium.launchPersistentContext(profile, options) : chromium.launch(options);
}

/** A page that notes its console messages and the URLs that it requests. */
export async function watchedPage(chrome, options = {}) {
  const page = await chrome.newPage({ viewport: { width: 1100, height: 900 }, ...options });
  const [messages, requests] = [[], []];
  page.on('console', (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => messages.push(`error: ${error}`));
  page.on('request', (request) => requests.push(request.url()));
  return { page, messages, requests };
}

/** Waits until the page has loaded its model. */
export const ready = (page) => page.waitForSelector('#status[data-state="ready"]', { timeout: 30_000 });

/**
 * The slate after viewing items, and the result of the golden rows. `slateScript` runs its source in pages, so it must
 * not use anything from outside.
 */
export async function slateOf(load, address, ids) {
  const rec = await load(address);
  for (const item of ids) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
  const slate = await rec.recommend({ k: 10 });
  const golden = await rec.replayGolden();
  rec.dispose();
  return { ids: slate.items.map((item) => item.id), golden };
}

/** The source of `slateOf` for the page and its bundle. */
export function slateScript(ids) {
  return `(async () => (${slateOf})((await import('./package/index.js')).load, './bundle/', ${JSON.stringify(ids)}))()`;
}

/** Prepares data, trains and exports a bundle in a new folder. `write` fills the data folder. */
export function bundleOf(write) {
  const work = temporary();
  const at = (name) => join(work, name);
  write(at('data'));
  foretaste('prepare', '--data', at('data'), '--out', at('prepared'));
  foretaste('train', '--data', at('prepared'), '--config', TINY_SETTINGS, '--out', at('run'), '--quiet');
  foretaste('export', '--run', at('run'), '--out', at('bundle'), '--quiet');
  return at('bundle');
}

export { existsSync, join, mkdirSync, root, writeFileSync };
