// Serves a folder, and opens pages in Chromium and Firefox while noting what goes wrong there.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import sirv from 'sirv';

const root = join(import.meta.dirname, '../..');

/** A port that is free at the moment. */
export async function freePort() {
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Serves a folder under a path, as a static host does. */
export async function serve(folder, { port, base = '/', headers = {} }) {
  const files = sirv(folder, { etag: true, setHeaders: (response) => response.setHeaders(new Map(Object.entries(headers))) });
  const server = createServer((request, response) => {
    if (request.url === '/favicon.ico') return response.writeHead(204).end();
    const notFound = () => response.writeHead(404).end();
    if (!request.url.startsWith(base)) return notFound();
    request.url = request.url.slice(base.length - 1);
    files(request, response, notFound);
  });
  await new Promise((resolve) => server.listen(port, resolve));
  return {
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What development servers tell the console; a built page says nothing. */
const CHATTER = /^(debug|info|log): /;

/** What browsers call a request that the page itself has ended, as `dispose` does while a module is kept for later. */
const ENDED = ['net::ERR_ABORTED', 'NS_BINDING_ABORTED'];

export class Browsers {
  #open = {};

  async #browser(name) {
    this.#open[name] ??= await puppeteer.launch({
      browser: name,
      executablePath: execFileSync(join(root, '.ci/browser'), [name], { encoding: 'utf8' }).trim(),
      args: name === 'chrome' ? ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] : [],
    });
    return this.#open[name];
  }

  /**
   * Opens a page, clicks what `clicks` selects, and returns what it wrote into `#result`. Throws if it wrote anything
   * to the console, if a request failed or went elsewhere, or if there is no result in time. `faulty` pages may do all
   * of this but the last.
   */
  async open(name, url, { dev = false, limit = 30_000, clicks = [], logs, faulty = false } = {}) {
    const browser = await this.#browser(name);
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    const faults = [];
    const said = [];
    page.on('console', (message) => {
      const line = `${message.type()}: ${message.text()}`;
      if (logs?.pattern.test(line)) said.push(line);
      else if (!(dev && CHATTER.test(line))) faults.push(line);
    });
    page.on('pageerror', (error) => faults.push(`page: ${error.message}`));
    page.on('response', (response) => {
      if (response.status() >= 400) faults.push(`${response.status()} ${response.url()}`);
    });
    page.on('requestfailed', (request) => {
      const text = request.failure()?.errorText;
      if (!ENDED.includes(text)) faults.push(`${text} ${request.url()}`);
    });
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && origin !== new URL(url).origin) faults.push(`a request elsewhere: ${request.url()}`);
    });
    try {
      await this.#goto(page, url, limit);
      const clicking = (async () => {
        for (const selector of clicks) await page.locator(selector).setTimeout(limit).click();
      })();
      // A page that says what is wrong has nothing to click.
      clicking.catch(() => {});
      const text = await page
        .waitForFunction(() => document.querySelector('#result')?.textContent || undefined, { timeout: limit })
        .then((found) => found.jsonValue());
      // What comes late, such as a warning about something that was loaded in vain.
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (logs && said.length !== logs.count) faults.push(`expected ${logs.count} lines of the page, got ${said.length}`);
      if (faults.length > 0 && !faulty) throw new Error(`${faults.join('\n')}\nthe result was ${text}`);
      return JSON.parse(text);
    } catch (error) {
      throw new Error([...new Set([`${name}: ${error.message}`, ...faults])].join('\n'));
    } finally {
      await context.close();
    }
  }

  /** Opens an address as soon as its server listens. */
  async #goto(page, url, limit) {
    const until = Date.now() + limit;
    for (;;) {
      const answers = await fetch(url).then(
        () => true,
        () => false,
      );
      if (answers) break;
      if (Date.now() > until) throw new Error(`${url} does not answer`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await page.goto(url, { timeout: limit });
  }

  async close() {
    await Promise.all(Object.values(this.#open).map((browser) => browser.close()));
  }
}
