// A host as the real web has them: it redirects, is busy, cuts connections, keeps old answers and swaps what it serves.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json', '.wasm': 'application/wasm' };

/**
 * Serves a folder, which `folder` may change later, to any host name. `asked` are the paths of all requests, and
 * `answer(path, response, request)` may answer one itself: it then returns true.
 */
export async function hostile(folder, { port = 0 } = {}) {
  const host = { folder, asked: [], answer: () => false, headers: {} };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://host');
    host.asked.push(pathname);
    response.setHeader('access-control-allow-origin', '*');
    for (const [name, value] of Object.entries(host.headers)) response.setHeader(name, value);
    if (host.answer(pathname, response, request)) return;
    const file = join(host.folder, pathname);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    if (!response.hasHeader('content-type')) {
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    }
    response.end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  host.port = server.address().port;
  host.address = `http://127.0.0.1:${host.port}/`;
  /** How often a path that contains a text was asked for. */
  host.count = (text) => host.asked.filter((path) => path.includes(text)).length;
  host.stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  /** Sends half of a file and cuts the connection. */
  host.cut = (pathname, response) => {
    const bytes = readFileSync(join(host.folder, pathname));
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, bytes.length >> 1), () => setTimeout(() => response.destroy(), 20));
    return true;
  };
  return host;
}
