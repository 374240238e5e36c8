// Pages that are killed while they record lose nothing of what they had recorded: `killed.mjs` for a few pages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults, kill } from './killed.mjs';

test('a page that is killed at any moment keeps events and log together', async () => {
  const counts = await kill(12);
  assert.deepEqual(faults(counts), [], JSON.stringify(counts));
  assert.ok(
    counts.every(({ both }) => both > 0),
    JSON.stringify(counts),
  );
});
