// The script of a worker that runs the recommender of a page: calls come in as messages, results go out.
import { toPlain } from './errors.js';
import { loadLocal } from './local.js';
import type { FromWorker, ToWorker } from './messages.js';
import type { LoadOptions, Recommender } from './types.js';

const send = (message: FromWorker) => postMessage(message);

let recommender: Recommender | undefined;
/** The features that the page knows of, as JSON. */
let sent = '';

/** Tells the page what has changed. */
function sendFeatures(): void {
  const features = recommender?.features();
  if (!features) return;
  const text = JSON.stringify(features);
  if (text === sent) return;
  sent = text;
  send({ news: 'features', features: { ...features, workers: Math.max(1, features.workers) } });
}

async function run(call: string, args: unknown[]): Promise<unknown> {
  if (call === 'load') {
    const [url, options] = args as [string, LoadOptions];
    recommender = await loadLocal(new URL(url), { ...options, onProgress: (progress) => send({ news: 'progress', progress }) });
    // The page hears that the model is ready before its own `ready` settles.
    void recommender.ready.then(sendFeatures, sendFeatures);
    return undefined;
  }
  if (!recommender) throw new Error('the bundle is not loaded');
  if (call === 'ready') return recommender.ready;
  const [target, method] = call.startsWith('profile.')
    ? [recommender.profile, call.slice('profile.'.length)]
    : [recommender, call];
  return (target as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args);
}

self.onmessage = async ({ data: { id, call, args } }: MessageEvent<ToWorker>) => {
  try {
    const result = await run(call, args);
    sendFeatures();
    send({ id, result });
  } catch (error) {
    sendFeatures();
    send({ id, error: toPlain(error) });
  }
};
send({ news: 'here' });
