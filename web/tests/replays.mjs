// The trainer's replay of visitors (`foretaste features replay`), taken again by a page.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { changed, editManifest, foretaste, join, temporary, writeFileSync } from './support.mjs';

/** What the trainer reads of a bundle's visitors: `ranker`, a part of the manifest, and `ways`, a visitor each. */
export function replayed(bundle, data, every = 1) {
  const file = join(temporary(), 'replay.jsonl');
  foretaste('features', 'replay', bundle, '--data', data, '--every', every, '--out', file);
  const [{ ranker }, ...ways] = readFileSync(file, 'utf8').trim().split('\n').map(JSON.parse);
  return { ranker, ways };
}

/** A copy of a bundle whose ranker reads these inputs. Its graph is none: values of features are read without it. */
export function readingFeatures(bundle, ranker) {
  return changed(bundle, (folder) => {
    const bytes = Buffer.from('no graph');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = `ranker.${sha256.slice(0, 16)}.onnx`;
    writeFileSync(join(folder, path), bytes);
    editManifest(folder, (manifest) => {
      manifest.ranker = ranker;
      manifest.features.required = [...new Set([...manifest.features.required, 'ranker'])];
      manifest.files = manifest.files.filter(({ feature }) => feature !== 'ranker');
      manifest.files.push({ path, role: 'ranker', bytes: bytes.length, sha256, feature: 'ranker' });
    });
  });
}

/**
 * Takes a way with a recommender. Returns how many moments and values were read, and for each moment that differs what
 * was expected and got. Runs in pages too, so it names nothing outside itself.
 */
export async function taken(rec, { visitor, context, steps }) {
  const sorted = (value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((key) => [key, sorted(value[key])]),
        )
      : Array.isArray(value)
        ? value.map(sorted)
        : value;
  const text = (value) => JSON.stringify(sorted(value));
  await rec.profile.clear();
  const [ids, found] = [[], { moments: 0, values: 0, differences: [] }];
  for (const [step, { record, remove, asked }] of steps.entries()) {
    ids.push(record && (await rec.record(record)).id);
    if (remove !== undefined && ids[remove]) await rec.profile.remove(ids[remove]);
    if (!asked) continue;
    const { time, ids: of, values } = asked;
    const [expected, got] = [text(values), text(await rec.featureValues(of, { context, ...(time !== undefined && { time }) }))];
    found.moments += 1;
    found.values += [values.visitor, ...values.items].reduce((sum, own) => sum + Object.keys(own).length, 0);
    if (expected !== got) found.differences.push({ visitor, step, expected, got });
  }
  return found;
}

/** Takes the last way of the list, reads it again after `reload`, and returns both readings as texts. */
export async function reread(page, way, reload) {
  const read = () =>
    page.evaluate(
      async ({ asked, context }) =>
        JSON.stringify(
          await window.rec.featureValues(asked.ids, { context, ...(asked.time !== undefined && { time: asked.time }) }),
        ),
      { asked: way.steps.findLast(({ asked }) => asked).asked, context: way.context },
    );
  const before = await read();
  await reload();
  return [before, await read()];
}

/** Takes all ways in a page with `window.rec`, and adds up what was found. */
export async function takenInPage(page, ways) {
  await page.evaluate((source) => {
    window.taken = new Function(`return (${source})`)();
  }, taken.toString());
  const sum = { moments: 0, values: 0, differences: [] };
  for (const way of ways) {
    const { moments, values, differences } = await page.evaluate((way) => window.taken(window.rec, way), way);
    sum.moments += moments;
    sum.values += values;
    sum.differences.push(...differences);
  }
  return sum;
}
