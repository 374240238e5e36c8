import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { load } from 'foretaste';
import { expect, test } from 'vitest';
import { trial } from './trial.js';

test('recommends', async () => {
  const result = await trial(load, pathToFileURL(join(import.meta.dirname, 'public/bundle/')).href);
  expect(result.page.error).toBeUndefined();
  console.log(`RESULT ${JSON.stringify(result)}`);
});
