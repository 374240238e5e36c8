import { load } from 'foretaste';
import { ownTrial, trial } from './trial.js';

async function main() {
  const bundle = new URL(document.documentElement.dataset.bundle ?? 'bundle/', document.baseURI).href;
  const result = await trial(load, bundle);
  const own = await ownTrial(new Worker(new URL('./own.js', import.meta.url), { type: 'module' }), bundle);
  document.querySelector('#result').textContent = JSON.stringify({ ...result, ...own });
}

void main();
