// The script of a worker that searches a part of a catalog: a core with the rows of some item files.
import initCore, { Core } from './wasm/core.js';
import type { Found, FromShard, ToShard } from './shards.js';

let core: Core;

async function obey(message: ToShard): Promise<Found | undefined> {
  switch (message.do) {
    case 'search':
      return core.search(message.vector, message.k, message.effort, message.lift, message.removed) as Found;
    case 'open':
      await initCore({ module_or_path: message.module });
      core = new Core(message.manifest, message.maxBytes);
      break;
    case 'begin':
      core.begin(message.path);
      break;
    case 'append':
      core.append(message.path, message.chunk);
      break;
    case 'finish':
      core.finish(message.path, message.hash);
      break;
    case 'seal':
      core.openShard();
  }
  return undefined;
}

/** One message after the other, for the first has to wait for its module. */
let last = Promise.resolve();
let fault: unknown;
onmessage = ({ data }: MessageEvent<ToShard>) => {
  last = last.then(async () => {
    let found: Found | undefined;
    try {
      if (fault !== undefined && data.do !== 'begin') throw fault;
      found = await obey(data);
      fault = undefined;
    } catch (error) {
      fault = error;
    }
    if (!('id' in data)) return;
    const answer: FromShard = { id: data.id, ...(found && { found }), ...(fault !== undefined && { error: String(fault) }) };
    const buffers = found ? [found.rows.buffer, found.scores.buffer] : [];
    postMessage(answer, { transfer: buffers });
    if (data.do === 'search') fault = undefined;
  });
};
