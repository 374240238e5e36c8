import { ForetasteError, load, type Info, type Item, type KeptEvent, type Recommender, type Slate } from '../package/index.js';
import { answerButtons, fieldsLine, scaleOf } from './answer.js';
import { byId, el, iconButton, replaceRows } from './dom.js';
import { WAYS, type Way } from './explore.js';

const SLOTS = 10;
const FOUND = 6;

/** Everything that the page shows follows from this. */
interface Page {
  recommender: Recommender;
  info: Info;
  scale: number[];
  /** Titles of items that were picked. */
  titles: Map<string, string>;
  seed: number;
}

const search = byId<HTMLInputElement>('search');
const policy = byId<HTMLSelectElement>('policy');
const epsilon = byId<HTMLInputElement>('epsilon');

void start();

async function start(): Promise<void> {
  try {
    const recommender = await load(bundleAddress(), { onProgress: showProgress });
    const info = await recommender.info();
    const page: Page = { recommender, info, scale: scaleOf(info), titles: new Map(), seed: 1 };
    about(info);
    listen(page);
    await find(page);
    setStatus('loading', 'Loading the model');
    await recommender.ready;
    setStatus('ready', 'Runs on this device');
    epsilon.disabled = policy.disabled = false;
    await refresh(page);
  } catch (error) {
    fail(error);
  }
}

/** The folder of the bundle: `bundle/` beside the page, or another folder of this host by `?bundle=`. */
function bundleAddress(): string {
  const asked = new URLSearchParams(location.search).get('bundle') ?? 'bundle/';
  const url = new URL(asked, document.baseURI);
  if (url.origin !== location.origin) throw new ForetasteError('argument', 'the bundle is on another host', 'bundle');
  return url.href;
}

function listen(page: Page): void {
  search.disabled = false;
  search.addEventListener('input', () => void guarded(() => find(page)));
  policy.replaceChildren(...WAYS.map(({ name }, i) => el('option', { value: String(i) }, name)));
  for (const dial of [policy, epsilon]) dial.addEventListener('input', () => void guarded(() => recommend(page)));
  byId('redraw').addEventListener('click', () => {
    page.seed += 1;
    void guarded(() => recommend(page));
  });
  byId('reset').addEventListener('click', () => {
    void guarded(async () => {
      await page.recommender.profile.clear();
      await refresh(page);
      search.focus();
    });
  });
  byId('log').addEventListener('click', () => void guarded(() => saveLog(page)));
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !(event.target instanceof HTMLInputElement)) {
      event.preventDefault();
      search.focus();
    }
  });
}

async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    fail(error);
  }
}

/** Search results, or what is popular. */
async function find(page: Page): Promise<void> {
  const text = search.value.trim();
  const items = await page.recommender.find(text, { k: FOUND });
  if (text !== search.value.trim()) return;
  byId('found-title').textContent = text ? (items.length > 0 ? 'Found' : 'Nothing has this title') : 'Popular';
  replaceRows(byId('found'), items.map((item) => row(page, item)));
}

function row(page: Page, item: Item): HTMLElement {
  const title = el('span', { class: 'title' }, item.title ?? item.id);
  return el('li', { 'data-id': item.id }, title, answerButtons(item, page.scale, (rating) => pick(page, item, rating)), fieldsLine(item));
}

function pick(page: Page, item: Item, rating?: number, slate?: string): void {
  void guarded(async () => {
    page.titles.set(item.id, item.title ?? item.id);
    const answer = rating === undefined ? { type: 'like' } : { type: 'rate', value: rating };
    await page.recommender.record({ item: item.id, ...answer, ...(slate !== undefined && { slate }) });
    await refresh(page);
  });
}

async function refresh(page: Page): Promise<void> {
  const events = await page.recommender.profile.get();
  replaceRows(byId('picks'), [...events].reverse().map((event) => pickRow(page, event)));
  byId('no-picks').hidden = events.length > 0;
  byId('reset').hidden = events.length === 0;
  await recommend(page);
}

function pickRow(page: Page, event: KeptEvent): HTMLElement {
  const name = page.titles.get(event.item) ?? event.item;
  const place = page.scale.findIndex((rating) => rating === event.value);
  const given = place < 0 ? 'liked' : `${place + 1} of ${page.scale.length}`;
  const remove = () => void guarded(async () => {
    await page.recommender.profile.remove(event.id);
    await refresh(page);
  });
  return el(
    'li',
    { 'data-id': event.item },
    el('span', { class: 'title' }, name),
    el('span', { class: 'answer' }, el('span', { class: 'given' }, given), iconButton('cross', `Remove ${name}`, remove)),
  );
}

/** The slate for the picks as they are. */
async function recommend(page: Page): Promise<void> {
  const way = WAYS[Number(policy.value)] ?? WAYS[0];
  const share = Number(epsilon.value) / 100;
  byId('epsilon-value').textContent = `${epsilon.value} %`;
  byId('epsilon-hint').textContent = way.says;
  byId('redraw').hidden = share === 0;
  const slate = await page.recommender.recommend({ k: SLOTS, explore: { ...way.knobs(share), seed: page.seed } });
  showSlate(page, slate, share, way);
  showTimings(slate);
}

function showSlate(page: Page, slate: Slate, share: number, way: Way): void {
  const list = byId('items');
  const before = new Set([...list.children].map((child) => child.getAttribute('data-id')));
  const scores = slate.items.map((item) => item.score);
  const [best, worst] = [Math.max(...scores), Math.min(...scores)];
  const cards = slate.items.map((item, i) => {
    const width = best > worst ? 12 + (88 * (item.score - worst)) / (best - worst) : 100;
    return card(page, slate, item, i, width, share, way);
  });
  for (const element of cards) if (!before.has(element.getAttribute('data-id'))) element.classList.add('fresh');
  if (cards.length === 0) cards.push(el('li', { class: 'empty' }, 'You have picked the whole catalog.'));
  replaceRows(list, cards);
  byId('said').textContent = `${slate.items.length} recommendations, first: ${slate.items[0]?.title ?? slate.items[0]?.id ?? 'none'}`;
  byId('slate').dataset['slate'] = slate.id;
}

function card(page: Page, slate: Slate, item: Item, place: number, width: number, share: number, way: Way): HTMLElement {
  const name = item.title ?? item.id;
  const propensity = item.propensity ?? 1;
  const meter = el('span', { class: 'meter', 'aria-hidden': 'true' }, el('i', { style: `width:${width.toFixed(1)}%` }));
  const drawn = way.explored(propensity, share);
  const measures = el(
    'span',
    { class: 'measures' },
    meter,
    el('span', {}, `score ${item.score.toFixed(2)}`),
    share > 0 && el('span', drawn ? { class: 'explored' } : {}, `${drawn ? 'explored, ' : ''}propensity ${percent(propensity)}`),
    el('button', { type: 'button', class: 'text', 'aria-expanded': 'false', 'aria-label': `Similar to ${name}`, click: () => toggle() }, 'Similar'),
  );
  const element = el(
    'li',
    { 'data-id': item.id },
    el('span', { class: 'rank' }, String(place + 1)),
    el('span', { class: 'title' }, name),
    fieldsLine(item),
    answerButtons(item, page.scale, (rating) => pick(page, item, rating, slate.id)),
    measures,
  );
  const button = measures.querySelector('button');
  const toggle = () =>
    void guarded(async () => {
      const open = element.querySelector('.similar');
      button?.setAttribute('aria-expanded', String(!open));
      if (open) return open.remove();
      const near = await page.recommender.similar(item.id, { k: 5 });
      element.append(el('div', { class: 'similar' }, el('ul', { class: 'rows', 'aria-label': `Similar to ${name}` }, ...near.map((n) => row(page, n)))));
    });
  return element;
}

function percent(p: number): string {
  return p >= 0.995 ? '100 %' : `${(100 * p).toPrecision(2)} %`;
}

function showTimings({ timings_us }: Slate): void {
  const stages = Object.entries(timings_us) as [string, number][];
  const total = stages.reduce((sum, [, us]) => sum + us, 0);
  // Browsers round their clock to a tenth of a millisecond.
  const ms = (us: number) => (us < 50 ? 'under 0.1 ms' : `${(us / 1000).toFixed(1)} ms`);
  const track = stages.map(([, us], i) => el('i', { style: `flex-grow:${Math.max(us, 1)};opacity:${1 - 0.17 * i}` }));
  const words = stages.map(([stage, us]) => `${stage} ${ms(us)}`).join(' · ');
  const timings = byId('timings');
  timings.hidden = false;
  timings.replaceChildren(el('div', { class: 'track', 'aria-hidden': 'true' }, ...track), el('span', {}, `${ms(total)} in all: ${words}`));
}

async function saveLog(page: Page): Promise<void> {
  const address = URL.createObjectURL(new Blob([await page.recommender.exportLog()], { type: 'application/x-ndjson' }));
  el('a', { href: address, download: 'foretaste-log.jsonl' }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

function about({ name, items, dim, model_id, licence, limits }: Info): void {
  const parts = [name, `${items.toLocaleString()} items`, `${dim} dimensions`, `model ${model_id}`, licence ?? '', limits ?? ''];
  byId('about').textContent = parts.filter(Boolean).join(' · ');
}

function showProgress({ loaded, total }: { loaded: number; total: number }): void {
  setStatus('loading', `Loading, ${Math.min(99, Math.round((100 * loaded) / Math.max(total, 1)))} %`);
}

function setStatus(state: 'loading' | 'ready' | 'failed', text: string): void {
  const status = byId('status');
  status.dataset['state'] = state;
  status.textContent = text;
}

function fail(error: unknown): void {
  const code = error instanceof ForetasteError ? error.code : 'unexpected';
  byId('status').dataset['code'] = code;
  setStatus('failed', error instanceof Error ? `This did not work: ${error.message}` : 'This did not work');
}
