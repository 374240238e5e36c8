// What the package asks the network for, and what it makes of the answers of bad hosts, in Node.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, renameSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { load } from '../dist/package/index.js';
import { hostile } from './hostile.mjs';
import { changed, codeOf, editManifest, join, renamedColumns, TINY, temporary, writeFileSync } from './support.mjs';

const asked = [];
const { fetch } = globalThis;
globalThis.fetch = (address, options) => {
  asked.push({ address: String(address), options });
  return fetch(address, options);
};
const { files } = JSON.parse(readFileSync(`${TINY}/manifest.json`, 'utf8'));
const pathOf = (role) => files.find((file) => file.role === role).path;

let host, bundle;
before(async () => {
  host = await hostile(temporary());
  bundle = new URL('bundle/', host.address);
});
after(() => host.stop());
beforeEach(() => {
  host.folder = temporary();
  cpSync(TINY, join(host.folder, 'bundle'), { recursive: true });
  Object.assign(host, { answer: () => false, headers: {}, asked: [] });
});

let visitors = 0;
const open = (options) => load(bundle, { namespace: `visitor ${visitors++}`, ...options });
/** Loads all of the bundle and closes it. */
async function whole(options) {
  const rec = await open(options);
  await rec.ready;
  const { items } = await rec.recommend({ k: 3 });
  rec.dispose();
  return { items };
}
/** The error that a promise ends with. */
const fault = (promise) =>
  promise.then(
    () => assert.fail('accepted'),
    (error) => error,
  );

test('asks for the files of the manifest alone, without credentials or redirects, and sends nothing', async () => {
  asked.length = 0;
  const rec = await open();
  await rec.ready;
  await rec.record({ item: '3', type: 'like' });
  await rec.recommend({ k: 5 });
  await rec.assign({ name: 'colour', arms: { red: 1, blue: 1 } });
  await rec.exportLog();
  await rec.profile.clear();
  rec.dispose();
  const known = ['manifest.json', ...files.map((file) => file.path)].map((path) => new URL(path, bundle).href);
  assert.ok(asked.length > 1);
  for (const { address, options } of asked) {
    assert.ok(known.includes(address), address);
    assert.equal(options.credentials, 'omit');
    assert.equal(options.redirect, 'manual');
    assert.equal(options.body ?? null, null);
  }
});

describe('a busy host', () => {
  test('is asked again after 503, and files that are there are not fetched again', async () => {
    const busy = { 'manifest.json': 1, [pathOf('items')]: 2, [pathOf('user_tower')]: 1 };
    host.answer = (path, response) => {
      const name = path.split('/').pop();
      if (!busy[name]) return false;
      busy[name] -= 1;
      return response.writeHead(503, name === 'manifest.json' ? { 'retry-after': '1' } : {}).end();
    };
    const since = performance.now();
    assert.equal((await whole()).items.length, 3);
    assert.ok(performance.now() - since > 1900, 'a second for the manifest, .3 and 1 s for the items');
    assert.deepEqual(
      ['manifest.json', pathOf('items'), pathOf('catalog'), pathOf('user_tower')].map((path) => host.count(path)),
      [2, 3, 1, 2],
    );
  });

  test('ends with `network` if it stays so or asks to wait for long, and its status and address are said', async () => {
    let wait = {};
    host.answer = (path, response) => path.includes('catalog') && response.writeHead(429, wait).end();
    const error = await fault(open());
    assert.deepEqual([error.code, error.part], ['network', pathOf('catalog')]);
    assert.equal(error.message, `${bundle}${pathOf('catalog')}: the host answered 429`);
    assert.equal(host.count('catalog'), 4);
    wait = { 'retry-after': '11' };
    assert.equal((await fault(open())).code, 'network');
    assert.equal(host.count('catalog'), 5);
  });

  test('is left alone after an abort, whose own reason comes back, and after `dispose`', async () => {
    host.answer = (_, response) => response.writeHead(503).end();
    const since = performance.now();
    const late = await fault(open({ signal: AbortSignal.timeout(100) }));
    assert.deepEqual([late.name, performance.now() - since < 290], ['TimeoutError', true]);
    const control = new AbortController();
    const reason = { mine: true };
    setTimeout(() => control.abort(reason), 50);
    assert.equal(await fault(open({ signal: control.signal })), reason);
    host.answer = (path, response) => path.includes('user_tower') && response.writeHead(503).end();
    const rec = await open();
    rec.dispose();
    const before = host.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.ok(host.asked.length <= before + 1);
    assert.equal(await codeOf(rec.ready), 'disposed');
  });

  test('that cuts a connection is asked again for that file alone', async () => {
    const cuts = ['manifest.json', pathOf('items'), pathOf('user_tower')];
    host.answer = (path, response) => {
      const name = path.split('/').pop();
      if (!cuts.includes(name)) return false;
      cuts.splice(cuts.indexOf(name), 1);
      return host.cut(path, response);
    };
    const seen = [];
    assert.equal((await whole({ onProgress: (progress) => seen.push(progress) })).items.length, 3);
    assert.deepEqual(
      ['manifest.json', pathOf('items'), pathOf('catalog'), pathOf('user_tower')].map((path) => host.count(path)),
      [2, 2, 1, 2],
    );
    const { loaded, total } = seen.at(-1);
    assert.equal(loaded, total);
    host.answer = host.cut;
    const error = await fault(open());
    assert.deepEqual([error.code, error.part], ['network', 'manifest.json']);
    assert.match(error.message, /^http:.*manifest.json: cannot be fetched: /);
  });
});

describe('codes say what happened', () => {
  const answers = [
    ['a redirect', 'redirect', (response) => response.writeHead(302, { location: '/elsewhere/manifest.json' }).end()],
    ['404', 'missing', (response) => response.writeHead(404).end()],
    ['410', 'missing', (response) => response.writeHead(410).end()],
    ['403', 'network', (response) => response.writeHead(403).end()],
  ];
  for (const [name, code, answer] of answers) {
    test(`${name} is ${code}, after one request`, async () => {
      host.answer = (_, response) => answer(response);
      const error = await fault(open());
      assert.deepEqual([error.code, error.part, host.asked.length], [code, 'manifest.json', 1]);
      assert.ok(error.message.startsWith(`${bundle}manifest.json: `), error.message);
    });
  }

  test('a page in place of a module names the ways out; types with parameters and none are read', async () => {
    const core = readFileSync(new URL('../dist/package/wasm/core-simd128.wasm', import.meta.url));
    const types = ['application/wasm; charset=utf-8', 'text/plain', 'Application/WASM', ''];
    host.answer = (path, response) => {
      if (path === '/page.wasm') return response.end('\n<!doctype html><title>app</title>');
      if (!path.startsWith('/core')) return false;
      const type = types[Number(path[5])];
      return response.writeHead(200, type ? { 'content-type': type } : {}).end(core);
    };
    // A process has one core, so each gets a process of its own.
    const run = (module) =>
      new Promise((resolve) => {
        const script = `
          import { load } from ${JSON.stringify(new URL('../dist/package/slim.js', import.meta.url).href)};
          load(${JSON.stringify(bundle.href)}, { wasm: { core: ${JSON.stringify(host.address + module)} } }).then(
            (rec) => (console.log('open'), rec.dispose()), (error) => console.log(error.code, error.message));`;
        execFile(process.execPath, ['--input-type=module', '-e', script], (_, out, err) => resolve(out + err));
      });
    for (const i of types.keys()) assert.equal(await run(`core${i}.wasm`), 'open\n', types[i]);
    const said = await run('page.wasm');
    assert.match(said, /^malformed page.wasm: found HTML .*optimizeDeps: .* exclude: \['foretaste'\].*foretaste\/inline/);
  });

  test('a module that breaks off is fetched again', async () => {
    const core = readFileSync(new URL('../dist/package/wasm/core-simd128.wasm', import.meta.url));
    writeFileSync(join(host.folder, 'core.wasm'), core);
    for (const type of ['application/wasm', 'text/plain']) {
      let cuts = 1;
      host.headers = { 'content-type': type };
      host.answer = (path, response) => path === '/core.wasm' && cuts-- > 0 && host.cut(path, response);
      const { compileWasm } = await compiler();
      assert.ok((await compileWasm(new URL('core.wasm', host.address))) instanceof WebAssembly.Module, type);
    }
    assert.equal(host.count('core.wasm'), 4);
  });
});

/** The package's own compiler, which no entry shows. */
async function compiler() {
  const { build } = await import('esbuild');
  const outfile = join(temporary(), 'compile.mjs');
  const entry = new URL('../src/package/compile.ts', import.meta.url).pathname;
  await build({ entryPoints: [entry], bundle: true, format: 'esm', outfile, logLevel: 'error' });
  return import(outfile);
}

test('a tower that failed is fetched again by the next load, while others hold the bundle', async () => {
  host.answer = (path, response) => path.endsWith(pathOf('user_tower')) && response.writeHead(404).end();
  const options = { namespace: 'tower' };
  const first = await load(bundle, options);
  assert.equal(await codeOf(first.ready), 'missing');
  host.answer = () => false;
  const second = await load(bundle, options);
  await second.ready;
  assert.deepEqual([first.features().model, second.features().model], ['failed', 'ready']);
  const third = await load(bundle, options);
  await third.record({ item: '4' });
  assert.deepEqual([(await first.profile.get()).length, (await second.profile.get()).length], [0, 1], 'equal loads share again');
  for (const rec of [first, second, third]) rec.dispose();
});

describe('two versions', () => {
  const OTHER = renamedColumns(TINY, { category: 'section' });
  const manifestOf = (folder) => readFileSync(join(folder, 'manifest.json'));
  /** Puts another bundle in place of the first, as a deploy does: the old files are gone. */
  const deploy = (folder) => {
    renameSync(join(host.folder, 'bundle'), join(host.folder, `old-${visitors++}`));
    cpSync(folder, join(host.folder, 'bundle'), { recursive: true });
  };
  /** The other bundle, all of whose files have other names. */
  const NEXT = changed(OTHER, (folder) =>
    editManifest(folder, (manifest) => {
      for (const file of manifest.files) {
        renameSync(join(folder, file.path), join(folder, `new-${file.path}`));
        file.path = `new-${file.path}`;
      }
    }),
  );
  /** Whether a request wants no answer of a cache. */
  const isFresh = ({ headers }) => /no-cache|max-age=0/.test(headers['cache-control'] ?? '');
  const columns = (rec) => rec.similar('4', { k: 1 }).then(([{ fields }]) => Object.keys(fields));

  test('a deploy in mid-load, with a manifest kept for ten minutes, ends with one whole bundle', async () => {
    for (const role of ['items', 'catalog', 'user_tower']) {
      for (const next of [OTHER, NEXT]) {
        let swapped = false;
        host.folder = temporary();
        cpSync(TINY, join(host.folder, 'bundle'), { recursive: true });
        host.answer = (path, response, request) => {
          if (path.endsWith(pathOf(role)) && !swapped) {
            swapped = true;
            deploy(next);
          }
          return swapped && path.endsWith('manifest.json') && !isFresh(request) && response.end(manifestOf(TINY));
        };
        const rec = await open();
        await rec.ready;
        // A tower with the old name is the same one, so it may stay unseen that the rest has changed.
        const [column] = (await columns(rec)).filter((name) => ['category', 'section'].includes(name));
        if (role !== 'user_tower' || next === NEXT) assert.equal(column, 'section', role);
        assert.equal((await rec.recommend({ k: 3 })).items.length, 3, role);
        if (column === 'section') assert.deepEqual(await rec.replayGolden(), [], role);
        rec.dispose();
      }
    }
  });

  test('events that were recorded before the other version came are there', async () => {
    let deployed = false;
    host.answer = (path, response) => {
      if (!path.endsWith(pathOf('user_tower')) || deployed) return false;
      deployed = true;
      setTimeout(() => {
        deploy(NEXT);
        response.writeHead(404).end();
      }, 300);
      return true;
    };
    const rec = await open();
    const kept = await rec.record({ item: '3', type: 'like' });
    assert.ok((await columns(rec)).includes('category'));
    const slate = await rec.recommend({ k: 60 });
    assert.ok((await columns(rec)).includes('section'));
    assert.deepEqual(await rec.profile.get(), [kept]);
    assert.ok(slate.items.every(({ id }) => id !== '3'));
    assert.equal((await rec.exportLog()).trim().split('\n').length, 2);
    rec.dispose();
  });

  test('a file of another version in a cache on the way is fetched past it', async () => {
    host.answer = (path, response, request) =>
      path.endsWith(pathOf('catalog')) && !isFresh(request) && response.end(readFileSync(join(OTHER, pathOf('catalog'))));
    const rec = await open();
    assert.ok((await columns(rec)).includes('category'));
    assert.deepEqual([host.count('catalog'), host.count('manifest')], [2, 2]);
    rec.dispose();
  });

  test('a pinned manifest is asked for again where a cache has another, and refused if the host has it too', async () => {
    const integrity = (folder) => `sha256-${createHash('sha256').update(manifestOf(folder)).digest('base64')}`;
    host.answer = (path, response, request) =>
      path.endsWith('manifest.json') && !isFresh(request) && response.end(manifestOf(OTHER));
    (await open({ integrity: integrity(TINY) })).dispose();
    assert.equal(await codeOf(open({ integrity: integrity(NEXT) })), 'hash');
  });

  test('golden rows of another version are `changed`, and wrong ones of a cache on the way are fetched past it', async () => {
    const golden = pathOf('golden');
    const other = changed(TINY, (folder) => {
      const bytes = Buffer.concat([readFileSync(join(folder, golden)), Buffer.from('\n')]);
      writeFileSync(join(folder, golden), bytes);
      editManifest(folder, ({ files }) => {
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        Object.assign(
          files.find(({ path }) => path === golden),
          { bytes: bytes.length, sha256 },
        );
      });
    });
    for (const next of [NEXT, other]) {
      const rec = await open();
      await rec.ready;
      assert.deepEqual(await rec.replayGolden(), []);
      deploy(next);
      const error = await fault(rec.replayGolden());
      assert.deepEqual([error.code, error.part], ['changed', golden]);
      assert.match(error.message, /load it again/);
      const again = await open();
      assert.deepEqual(await again.replayGolden(), []);
      for (const each of [rec, again]) each.dispose();
      deploy(TINY);
    }
    host.answer = (path, response, request) =>
      path.endsWith(golden) && !isFresh(request) && response.end(readFileSync(join(other, golden)));
    const rec = await open();
    assert.deepEqual(await rec.replayGolden(), []);
    // The host itself has a wrong file.
    host.answer = (path, response) => path.endsWith(golden) && response.end('{}');
    assert.equal(await codeOf(rec.replayGolden()), 'length');
    rec.dispose();
  });

  test('a file that is gone for good is `missing`, and a host that always changes is left', async () => {
    host.answer = (path, response) => path.endsWith(pathOf('items')) && response.writeHead(404).end();
    const error = await fault(open());
    assert.deepEqual([error.code, error.part], ['missing', pathOf('items')]);
    assert.equal(error.message, `${bundle}${pathOf('items')}: the host answered 404`);
    assert.deepEqual([host.count(pathOf('items')), host.count('manifest.json')], [1, 2]);
    host.asked.length = 0;
    let answers = 0;
    const always = host.answer;
    host.answer = (path, response) =>
      path.endsWith('manifest.json') ? response.end(`${manifestOf(TINY)}${' '.repeat(answers++)}`) : always(path, response);
    assert.equal(await codeOf(open()), 'missing');
    assert.equal(host.count('manifest.json'), 4);
  });
});

test('hashes by the core where the page is not secure', async () => {
  const { subtle } = crypto;
  Object.defineProperty(crypto, 'subtle', { value: undefined, configurable: true });
  try {
    assert.equal((await whole()).items.length, 3);
    host.answer = (path, response) => path.endsWith(pathOf('items')) && response.end(Buffer.alloc(3920, 7));
    assert.equal(await codeOf(open()), 'hash');
    host.answer = (path, response) => path.endsWith(pathOf('user_tower')) && response.end(Buffer.alloc(30789, 7));
    const rec = await open();
    assert.equal(await codeOf(rec.ready), 'hash');
    rec.dispose();
  } finally {
    Object.defineProperty(crypto, 'subtle', { value: subtle, configurable: true });
  }
});

test('a digest that fails is computed by the core', async () => {
  const { digest } = SubtleCrypto.prototype;
  SubtleCrypto.prototype.digest = () => Promise.reject(new TypeError('detached'));
  try {
    assert.equal((await whole()).items.length, 3);
  } finally {
    SubtleCrypto.prototype.digest = digest;
  }
});

test('warns once of each type of event that the bundle does not declare, and keeps the event', async () => {
  const { warn } = console;
  const said = [];
  console.warn = (text) => said.push(text);
  try {
    const rec = await open();
    for (const type of ['like', 'hide', 'view', 'liek', 'liek', 'buy']) await rec.record({ item: '3', type });
    await rec.record({ item: '4' });
    assert.equal((await rec.profile.get()).length, 7);
    assert.deepEqual(
      said.map((text) => /`(.*?)`.*hide, like, rate$/.exec(text)?.[1]),
      ['liek', 'buy'],
    );
    assert.equal(await codeOf(rec.record({ item: '3', tpye: 'like' })), 'unknown-key');
    assert.equal(await codeOf(rec.recommend({ count: 3 })), 'unknown-key');
    rec.dispose();
  } finally {
    console.warn = warn;
  }
});
