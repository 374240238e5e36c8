// The script of a worker that recommends for a page: calls come in as messages, answers go out.
import { plain } from './errors.js';
import { load } from './load.js';
import type { FromWorker, ToWorker } from './remote.js';
import type { LoadOptions, Recommender } from './types.js';

const say = (message: FromWorker) => postMessage(message);

let rec: Recommender;
/** What the page knows of the storage. */
let told: string | undefined;

function tell(): void {
  const features = rec.features();
  told = features.storageError;
  say({ news: 'features', features: { ...features, workers: Math.max(1, features.workers) } });
}

async function answer(call: string, args: unknown[]): Promise<unknown> {
  if (call === 'load') {
    const [url, options] = args as [string, LoadOptions];
    rec = await load(url, { ...options, onProgress: (progress) => say({ news: 'progress', progress }) });
    tell();
    // Before the page hears that it is ready.
    rec.ready.then(tell, tell);
    return undefined;
  }
  if (call === 'ready') return rec.ready;
  const [name, of] = call.startsWith('profile.') ? [call.slice('profile.'.length), rec.profile] : [call, rec];
  return (of as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
}

onmessage = async ({ data: { id, call, args } }: MessageEvent<ToWorker>) => {
  try {
    const result = await answer(call, args);
    if (rec.features().storageError !== told) tell();
    say({ id, result });
  } catch (error) {
    say({ id, error: plain(error) });
  }
};
say({ news: 'here' });
