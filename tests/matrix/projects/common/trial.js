// What every cell of the matrix runs: a short visit, in the page and with `worker: true`.

const HISTORY = ['3', '14'];

/** A visit: what it was recommended, and how many workers did it. */
async function visit(load, bundle, options) {
  const rec = await load(bundle, options);
  try {
    for (const item of HISTORY) await rec.record({ item, type: 'view', time: null, tz_offset_min: null });
    const slate = await rec.recommend({ k: 5 });
    return { ids: slate.items.map(({ id }) => id), features: rec.features() };
  } finally {
    rec.dispose();
  }
}

/** Both visits. An error is a part of the result. */
export async function trial(load, bundle) {
  const result = {};
  for (const [name, options] of Object.entries({ page: {}, worker: { worker: true } })) {
    result[name] = await visit(load, bundle, options).catch((error) => ({
      error: `${error.code ?? error.name}: ${error.message}`,
    }));
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
