// What a cell must answer, and the table of what the cells answered.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** The slate of the native command for the history of `projects/common/trial.js`, and the check against it. */
export async function expectedSlate() {
  const args = ['recommend', join(root, 'models/tiny'), '--history', '3,14', '-k', '5', '--json'];
  const { items } = JSON.parse(execFileSync(join(root, 'target/release/foretaste'), args, { encoding: 'utf8' }));
  const ids = items.map(({ id }) => id).join();
  return {
    /** Checks the visits of one cell. Returns for each whether it passed, or throws. */
    check(result, { fails, own = true, run }) {
      if (fails) {
        const error = result.page?.error ?? '';
        if (!fails.test(error)) throw new Error(`expected an error like ${fails}, got ${error || 'none'}`);
        return { error };
      }
      const visits = ['page', 'worker', ...(own && !run ? ['own', 'own, worker'] : [])];
      for (const name of visits) {
        const { ids: got, error, features } = result[name] ?? { error: 'no visit' };
        if (error) throw new Error(`${name}: ${error}`);
        if (got.join() !== ids) throw new Error(`${name}: expected ${ids}, got ${got}`);
        if (name === 'worker' && !run && !(features.workers >= 1))
          throw new Error(`worker: none started: ${JSON.stringify(features)}`);
      }
      return Object.fromEntries(visits.map((name) => [name, true]));
    },
  };
}

/** The rows as Markdown. */
export function table(rows) {
  const mark = (result, name) => (result === undefined ? '' : result[name] ? 'yes' : '–');
  const lines = rows.map(({ cell, results, fault }) => {
    const { chrome, firefox } = results;
    const needs = fault ? 'fails' : cell.fails ? `\`${chrome.error}\`` : (cell.needs ?? '');
    return [cell.name, mark(chrome, 'page'), mark(chrome, 'worker'), mark(chrome, 'own'), mark(firefox, 'page'), needs];
  });
  const head = [
    ['where', 'in the page', '`worker: true`', 'a worker of yours', 'Firefox', 'needs'],
    ['---', '---', '---', '---', '---', '---'],
  ];
  return [...head, ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
