// What every cell of the matrix runs: a short visit, in the page and with `worker: true`.

const HISTORY = ['3', '14'];

/** Records what the visitor did before. */
export async function begin(rec) {
  for (const item of HISTORY) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
}

/** What was recommended, and how many workers did it. */
export const answer = (rec, slate) => ({ ids: slate.items.map(({ id }) => id), features: rec.features() });

/** An error as a part of the result. */
export const failed = (error) => ({ error: `${error.code ?? error.name}: ${error.message}` });

async function visit(load, bundle, options) {
  const rec = await load(bundle, options);
  try {
    await begin(rec);
    return answer(rec, await rec.recommend({ k: 5 }));
  } finally {
    rec.dispose();
  }
}

/** Both visits. */
export async function trial(load, bundle) {
  const result = {};
  for (const [name, options] of Object.entries({ page: {}, worker: { worker: true } })) {
    result[name] = await visit(load, bundle, options).catch(failed);
  }
  return result;
}

/** The same visits in a worker of the page's own, a script that answers an address with the result of `trial`. */
export function ownTrial(worker, bundle) {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve({ own: data.page, 'own, worker': data.worker });
    worker.onerror = (event) => resolve({ own: { error: `the worker failed: ${event.message}` } });
    worker.postMessage(bundle);
  });
}
