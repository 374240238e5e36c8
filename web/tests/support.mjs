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

/**
 * What the neighbours of a history's items add to each row, by `bundle_format.md`; `encoded` is as in golden rows, of
 * which the `newest` events count.
 */
export function neighbourSums({ events, share, decay, types, values }, lists, encoded, newest = events) {
  const f32 = Math.fround;
  const sums = new Float32Array(lists.length);
  let fade = f32(share);
  encoded.rows.slice(0, Math.min(events, newest)).forEach((row, i) => {
    const factor = f32(f32(fade * f32(types[encoded.types[i]])) * f32(values[encoded.values[i]]));
    const { scale, entries } = lists[row];
    for (const [neighbour, weight] of entries) sums[neighbour] += f32(factor * f32(weight * scale));
    fade = f32(fade * f32(decay));
  });
  return sums;
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** A neighbours file. `lists` has for each row `scale`, and `entries`, pairs of a row and a weight. */
function neighboursFile(lists, wide) {
  const entries = lists.flatMap(({ entries }) => entries);
  const [rows, weights] = [0, 1].map((at) => entries.map((entry) => entry[at]));
  let end = 0;
  const ends = lists.map(({ entries }) => {
    end += entries.length;
    return end;
  });
  const tensors = [
    ['ends', 'U32', Uint32Array.from(ends)],
    ['rows', wide ? 'U32' : 'U16', (wide ? Uint32Array : Uint16Array).from(rows)],
    ['weights', 'I8', Int8Array.from(weights)],
    ['scales', 'F32', Float32Array.from(lists, ({ scale }) => scale)],
  ];
  let at = 0;
  const header = tensors.map(([name, dtype, { length, byteLength }]) => {
    const data_offsets = [at, at + byteLength];
    at += byteLength;
    return [name, { dtype, shape: [length], data_offsets }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, ...tensors.map(([, , { buffer }]) => Buffer.from(buffer))]);
}

/** Gives the bundle in a folder these neighbours, `rows` rows a file, and the key of the manifest. */
export function putNeighbours(folder, lists, weights, rows) {
  editManifest(folder, (manifest) => {
    manifest.neighbours = weights;
    manifest.features.required = [...new Set([...manifest.features.required, 'neighbours'])];
    manifest.files = manifest.files.filter(({ role }) => role !== 'neighbours');
    for (let from = 0; from < lists.length; from += rows) {
      const part = lists.slice(from, from + rows);
      const bytes = neighboursFile(part, lists.length > 65_536);
      const path = `neighbours-${from}.${sha256(bytes).slice(0, 16)}.safetensors`;
      writeFileSync(join(folder, path), bytes);
      const entry = { path, role: 'neighbours', feature: 'neighbours', rows: part.length };
      manifest.files.push({ ...entry, bytes: bytes.length, sha256: sha256(bytes) });
    }
    manifest.model_id = sha256(manifest.files.map(({ sha256 }) => sha256).join('')).slice(0, 16);
  });
}

/**
 * A copy of a bundle with neighbours of either sign in two files, and these neighbours. `load` makes the golden rows by
 * the definition, from the scores of the bundle as it was.
 */
export async function withNeighbours(bundle, load) {
  const rec = await load(bundle);
  const { encoding, items } = await rec.info();
  const ids = (await rec.find('', { k: items })).map(({ id }) => id).sort((a, b) => a - b);
  const lists = ids.map((_, row) => ({
    scale: Math.fround(0.002 + (row % 7) / 900),
    entries: Array.from({ length: row % 9 }, (_, i) => [(row * 5 + i * 7) % items, ((row * 31 + i * 57) % 255) - 127]).sort(
      ([a], [b]) => a - b,
    ),
  }));
  const weights = { events: 12, share: 1.5, decay: 0.8, types: [0.7, 1], values: [1, -1.2, -0.3, 0.4, 0.9, 1.3] };
  const golden = JSON.parse(readFileSync(join(bundle, 'golden.json'), 'utf8'));
  const typeOf = (type) => encoding.history.types.find(({ name }) => name === type) ?? { seen: true };
  for (const row of golden.rows) {
    const { history, ...request } = row.input;
    await rec.profile.import(history);
    const gone = new Set(history.filter(({ type }) => typeOf(type).seen || typeOf(type).hide).map(({ item }) => item));
    const sums = neighbourSums(weights, lists, row.encoded.history);
    const alone = await rec.rank(ids, { ...request, neighbours: false });
    row.top = alone
      .map(({ id, score, rating }) => ({ id, score: Math.fround(score + sums[ids.indexOf(id)]), rating }))
      .filter(({ id }) => !gone.has(id))
      .sort((a, b) => b.score - a.score || ids.indexOf(a.id) - ids.indexOf(b.id))
      .slice(0, 10);
  }
  rec.dispose();
  const folder = changed(bundle, (folder) => {
    const text = JSON.stringify(golden);
    writeFileSync(join(folder, 'golden.json'), text);
    editManifest(folder, ({ files }) => {
      const entry = files.find(({ role }) => role === 'golden');
      Object.assign(entry, { bytes: Buffer.byteLength(text), sha256: sha256(text) });
    });
    putNeighbours(folder, lists, weights, 25);
  });
  return { folder, lists, weights, ids };
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
