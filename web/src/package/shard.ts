// The script of a worker that searches one shard of a catalog: a core that has the rows of some item files.
import type { Found, FromShard, ToShard } from './messages.js';
import { Core, start } from './wasm/core.js';

let core: Core;

async function run(message: ToShard): Promise<Found | undefined> {
  switch (message.do) {
    case 'search':
      return core.search(message.vector, message.k, message.effort, message.lift, message.removed) as Found;
    case 'open':
      await start(message.module);
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

/** Messages run one after another: the first one waits for its module to start. */
let last = Promise.resolve();
/** The error of an earlier message. A `begin` clears it, because it starts the file again. */
let fault: unknown;
self.onmessage = ({ data }: MessageEvent<ToShard>) => {
  last = last.then(async () => {
    let found: Found | undefined;
    try {
      if (fault !== undefined && data.do !== 'begin') throw fault;
      found = await run(data);
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
