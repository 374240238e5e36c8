// The script of a worker that runs the recommender of a page: calls come in as messages, results go out.
import type { Source } from './compile.js';
import type { Entry, Opened } from './entry.js';
import { toPlain } from './errors.js';
import { loadLocal } from './local.js';
import type { FromPage, FromWorker, ToWorker } from './messages.js';
import { towerRuntime } from './towers.js';
import type { LoadOptions } from './types.js';

const send = (message: FromWorker) => postMessage(message);

let recommender: Opened | undefined;
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

/** The page's addresses as an entry. */
function entryOf({ core, tower, shard }: FromPage): Entry {
  const given = (source: Source | undefined) => () => source as Source;
  return {
    core: given(core),
    ...(tower && { tower: { ...towerRuntime, source: given(tower) } }),
    shard: () => new URL(shard),
    worker: () => new URL(self.location.href),
  };
}

/** Ends the calls that the page may cancel. */
const running = new Map<number, AbortController>();

async function run(call: string, args: unknown[]): Promise<unknown> {
  if (call === 'load') {
    const [url, options, page] = args as [string, LoadOptions, FromPage];
    const onProgress: LoadOptions['onProgress'] = (progress) => send({ news: 'progress', progress });
    recommender = await loadLocal(new URL(url), { ...options, onProgress }, entryOf(page), undefined, sendFeatures);
    // The page hears that the model is ready before its own `ready` settles.
    void recommender.ready.then(sendFeatures, sendFeatures);
    return undefined;
  }
  if (!recommender) throw new Error('the bundle is not loaded');
  if (call === 'ready') return recommender.ready;
  const [method = '', ofProfile] = call.split('.').reverse();
  const target: unknown = ofProfile ? recommender.profile : recommender;
  return (target as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args);
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  if ('cancel' in data) return running.get(data.cancel)?.abort();
  const { id, call, args, signalAt } = data;
  const control = new AbortController();
  if (signalAt !== undefined) {
    running.set(id, control);
    args[signalAt] = { ...(args[signalAt] as object), signal: control.signal };
  }
  const answer = await run(call, args).then(
    (result) => ({ id, result }),
    (error: unknown) => ({ id, error: toPlain(error) }),
  );
  running.delete(id);
  sendFeatures();
  send(answer);
};
send({ news: 'here' });
