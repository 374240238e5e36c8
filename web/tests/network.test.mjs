// What the package asks the network for: the files of the manifest, and nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { load } from '../dist/package/index.js';
import { serve, site, TINY } from './support.mjs';

const asked = [];
const { fetch } = globalThis;
globalThis.fetch = (address, options) => {
  asked.push({ address: String(address), options });
  return fetch(address, options);
};

let server;
before(async () => {
  server = await serve(site(TINY));
});
after(() => server.stop());

test('asks for the files of the manifest alone, without credentials or redirects, and sends nothing', async () => {
  const bundle = new URL('bundle/', server.address);
  const rec = await load(bundle);
  await rec.ready;
  await rec.record({ item: '3', type: 'like' });
  await rec.recommend({ k: 5 });
  await rec.assign({ name: 'colour', arms: { red: 1, blue: 1 } });
  await rec.exportLog();
  await rec.profile.clear();
  rec.dispose();
  const { files } = JSON.parse(readFileSync(`${TINY}/manifest.json`, 'utf8'));
  const known = ['manifest.json', ...files.map((file) => file.path)].map((path) => new URL(path, bundle).href);
  assert.ok(asked.length > 1);
  for (const { address, options } of asked) {
    assert.ok(known.includes(address), address);
    assert.equal(options.credentials, 'omit');
    assert.equal(options.redirect, 'error');
    assert.equal(options.body ?? null, null);
  }
});
