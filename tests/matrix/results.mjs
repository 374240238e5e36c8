// What a cell must answer, and the table of what the cells answered.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** Whether the log of a slate says which of its first items were seen, and that the first one was clicked. */
function isLogged(ids, log) {
  const [seen, answered] = [log.filter(Array.isArray), log.filter((entry) => !Array.isArray(entry))];
  const isBegin = (items) => items.length > 0 && items.every((id, slot) => id === ids[slot]);
  return seen.length > 0 && seen.every(isBegin) && answered.join() === ids[0];
}

/** The slate of the native command for the history of `projects/common/trial.js`, and the check against it. */
export async function expectedSlate() {
  const args = ['recommend', join(root, 'models/tiny'), '--history', '3,14', '-k', '5', '--json'];
  const { items } = JSON.parse(execFileSync(join(root, 'target/release/foretaste'), args, { encoding: 'utf8' }));
  const ids = items.map(({ id }) => id).join();
  return {
    /** Checks the visits of one cell. Returns for each whether it passed, or throws. */
    check(result, { fails, run, clicks, visits = run ? ['page', 'worker'] : ['page', 'worker', 'own', 'own, worker'] }) {
      if (fails) {
        const error = result.page?.error ?? '';
        if (!fails.test(error)) throw new Error(`expected an error like ${fails}, got ${error || 'none'}`);
        return { error };
      }
      for (const name of visits) {
        const { ids: got, error, features, log } = result[name] ?? { error: 'no visit' };
        if (error) throw new Error(`${name}: ${error}`);
        if (got.join() !== ids) throw new Error(`${name}: expected ${ids}, got ${got}`);
        if (name === 'worker' && !run && !(features.workers >= 1))
          throw new Error(`worker: none started: ${JSON.stringify(features)}`);
        if (clicks && !isLogged(got, log)) throw new Error(`${name}: the log of ${got} is ${JSON.stringify(log)}`);
      }
      return Object.fromEntries(['page', ...visits].map((name) => [name, true]));
    },
  };
}

/** The rows as Markdown. Modes of a tool that have equal results share one. */
export function table(rows) {
  const mark = (result, name) => (result === undefined ? '' : result[name] ? 'yes' : '–');
  const lines = [];
  for (const { cell, results, fault } of rows) {
    const { chrome, firefox } = results;
    const needs = fault ? 'fails' : cell.fails ? 'fails, with an error that names the next two' : (cell.needs ?? '');
    const marks = [mark(chrome, 'page'), mark(chrome, 'worker'), mark(chrome, 'own'), mark(firefox, 'page'), needs];
    const last = lines.at(-1);
    if (last?.tool === cell.tool && last.marks.join() === marks.join()) last.modes.push(cell.mode);
    else lines.push({ tool: cell.tool, modes: [cell.mode], marks });
  }
  const head = ['where', 'in the page', '`worker: true`', 'a worker of yours', 'in Firefox', 'needs'];
  const named = lines.map(({ tool, modes, marks }) => [
    [tool, modes.filter(Boolean).join(', ')].filter(Boolean).join(': '),
    ...marks,
  ]);
  return [head, head.map(() => '---'), ...named].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

const PAGE = join(root, 'web/TROUBLESHOOTING.md');
const BETWEEN = /(<!-- made by make test-matrix -->\n)[\s\S]*?(?=<!-- \/ -->)/;

/** Writes the table into the page of the package. */
export function publish(text) {
  const page = readFileSync(PAGE, 'utf8');
  if (!BETWEEN.test(page)) throw new Error(`${PAGE}: the marks of the table are gone`);
  writeFileSync(
    PAGE,
    page.replace(BETWEEN, (_, mark) => `${mark}\n${text}\n`),
  );
}
