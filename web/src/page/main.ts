import { ForetasteError, type Info, type Item, type KeptEvent, load, type Recommender, type Slate } from '../package/index.js';
import { answerButtons, fieldsLine, scaleOf } from './answer.js';
import { byId, el, iconButton, replaceRows } from './dom.js';
import { CHOICES, type PolicyChoice } from './explore.js';

/** Items of a slate. */
const SLOTS = 10;
/** Items that a search shows. */
const FOUND = 6;

/** The state that everything on the page is drawn from. */
interface Page {
  recommender: Recommender;
  info: Info;
  /** Ratings that the visitor can give, lowest first; none if the bundle knows no ratings. */
  scale: number[];
  /** Titles of picked items by id. */
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

/** The folder of the bundle: `bundle/` beside the page, or the folder that `?bundle=` names on this host. */
function bundleAddress(): string {
  const folder = new URLSearchParams(location.search).get('bundle') ?? 'bundle/';
  const url = new URL(folder, document.baseURI);
  if (url.origin !== location.origin) throw new ForetasteError('argument', 'the bundle is on another host', 'bundle');
  return url.href;
}

function listen(page: Page): void {
  search.disabled = false;
  search.addEventListener('input', () => void guarded(() => find(page)));
  policy.replaceChildren(...CHOICES.map(({ name }, i) => el('option', { value: String(i) }, name)));
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

/** Does some work; if it fails, the page says so. */
async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    fail(error);
  }
}

/** Shows the items that match the search field, or popular items if it is empty. */
async function find(page: Page): Promise<void> {
  const text = search.value.trim();
  const items = await page.recommender.find(text, { k: FOUND });
  if (text !== search.value.trim()) return;
  byId('found-title').textContent = text ? (items.length > 0 ? 'Found' : 'Nothing has this title') : 'Popular';
  replaceRows(
    byId('found'),
    items.map((item) => row(page, item)),
  );
}

/** An item of the search results or of a list of similar items. */
function row(page: Page, item: Item): HTMLElement {
  const title = el('span', { class: 'title' }, item.title ?? item.id);
  return el(
    'li',
    { 'data-id': item.id },
    title,
    answerButtons(item, page.scale, (rating) => pick(page, item, rating)),
    fieldsLine(item),
  );
}

/** Records a rating, or a like if there is none, and redraws. `slate` is the slate that showed the item. */
function pick(page: Page, item: Item, rating?: number, slate?: string): void {
  void guarded(async () => {
    page.titles.set(item.id, item.title ?? item.id);
    const answer = rating === undefined ? { type: 'like' } : { type: 'rate', value: rating };
    await page.recommender.record({ item: item.id, ...answer, ...(slate !== undefined && { slate }) });
    await refresh(page);
  });
}

/** Redraws the picks and the recommendations. */
async function refresh(page: Page): Promise<void> {
  const events = await page.recommender.profile.get();
  replaceRows(
    byId('picks'),
    [...events].reverse().map((event) => pickRow(page, event)),
  );
  byId('no-picks').hidden = events.length > 0;
  byId('reset').hidden = events.length === 0;
  await recommend(page);
}

function pickRow(page: Page, event: KeptEvent): HTMLElement {
  const name = page.titles.get(event.item) ?? event.item;
  const place = page.scale.indexOf(event.value ?? NaN);
  const given = place < 0 ? 'liked' : `${place + 1} of ${page.scale.length}`;
  const remove = () =>
    void guarded(async () => {
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

/** Gets a slate for the current picks and shows it. */
async function recommend(page: Page): Promise<void> {
  const choice = CHOICES[Number(policy.value)] ?? CHOICES[0];
  const dial = Number(epsilon.value) / 100;
  byId('epsilon-value').textContent = `${epsilon.value} %`;
  byId('epsilon-hint').textContent = choice.hint;
  byId('redraw').hidden = dial === 0;
  const slate = await page.recommender.recommend({ k: SLOTS, explore: { ...choice.settings(dial), seed: page.seed } });
  showSlate({ page, slate, choice, dial });
  showTimings(slate);
}

/** A slate and how it was drawn. */
interface DrawnSlate {
  page: Page;
  slate: Slate;
  choice: PolicyChoice;
  dial: number;
}

function showSlate(drawn: DrawnSlate): void {
  const { items, id } = drawn.slate;
  const list = byId('items');
  const before = new Set([...list.children].map((child) => child.getAttribute('data-id')));
  const scores = items.map((item) => item.score);
  const [best, worst] = [Math.max(...scores), Math.min(...scores)];
  const cards = items.map((item, place) => {
    const percentWidth = best > worst ? 12 + (88 * (item.score - worst)) / (best - worst) : 100;
    return card(drawn, item, place, percentWidth);
  });
  for (const element of cards) if (!before.has(element.getAttribute('data-id'))) element.classList.add('fresh');
  if (cards.length === 0) cards.push(el('li', { class: 'empty' }, 'You have picked the whole catalog.'));
  replaceRows(list, cards);
  byId('said').textContent = `${items.length} recommendations, first: ${items[0]?.title ?? items[0]?.id ?? 'none'}`;
  byId('slate').dataset.slate = id;
}

/** An item of the slate. `percentWidth` is the width of its score's bar. */
function card({ page, slate, choice, dial }: DrawnSlate, item: Item, place: number, percentWidth: number): HTMLElement {
  const name = item.title ?? item.id;
  const propensity = item.propensity ?? 1;
  const bar = el('i', { style: `width:${percentWidth.toFixed(1)}%` });
  const explored = choice.explored(propensity, dial);
  const similarButton = el(
    'button',
    { type: 'button', class: 'text', 'aria-expanded': 'false', 'aria-label': `Similar to ${name}`, click: () => toggle() },
    'Similar',
  );
  const element = el(
    'li',
    { 'data-id': item.id },
    el('span', { class: 'rank' }, String(place + 1)),
    el('span', { class: 'title' }, name),
    fieldsLine(item),
    answerButtons(item, page.scale, (rating) => pick(page, item, rating, slate.id)),
    el(
      'span',
      { class: 'measures' },
      el('span', { class: 'meter', 'aria-hidden': 'true' }, bar),
      el('span', {}, `score ${item.score.toFixed(2)}`),
      dial > 0 &&
        el('span', explored ? { class: 'explored' } : {}, `${explored ? 'explored, ' : ''}propensity ${percent(propensity)}`),
      similarButton,
    ),
  );
  const toggle = () =>
    void guarded(async () => {
      const open = element.querySelector('.similar');
      similarButton.setAttribute('aria-expanded', String(!open));
      if (open) return open.remove();
      const similar = await page.recommender.similar(item.id, { k: 5 });
      const rows = similar.map((other) => row(page, other));
      const list = el('ul', { class: 'rows', 'aria-label': `Similar to ${name}` }, ...rows);
      element.append(el('div', { class: 'similar' }, list));
    });
  return element;
}

/** A probability with two digits. */
function percent(p: number): string {
  return p >= 0.995 ? '100 %' : `${(100 * p).toPrecision(2)} %`;
}

/** Shows the time of each stage as a bar and in words. */
function showTimings({ timings_us }: Slate): void {
  const stages = Object.entries(timings_us) as [string, number][];
  const total = stages.reduce((sum, [, us]) => sum + us, 0);
  // Browsers round their clocks to a tenth of a millisecond.
  const ms = (us: number) => (us < 50 ? 'under 0.1 ms' : `${(us / 1000).toFixed(1)} ms`);
  const track = stages.map(([, us], i) => el('i', { style: `flex-grow:${Math.max(us, 1)};opacity:${1 - 0.17 * i}` }));
  const words = stages.map(([stage, us]) => `${stage} ${ms(us)}`).join(' · ');
  const timings = byId('timings');
  timings.hidden = false;
  timings.replaceChildren(
    el('div', { class: 'track', 'aria-hidden': 'true' }, ...track),
    el('span', {}, `${ms(total)} in all: ${words}`),
  );
}

/** Lets the visitor save the log as a file. */
async function saveLog(page: Page): Promise<void> {
  const address = URL.createObjectURL(new Blob([await page.recommender.exportLog()], { type: 'application/x-ndjson' }));
  el('a', { href: address, download: 'foretaste-log.jsonl' }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Shows what the bundle says about itself. */
function about({ name, items, dim, model_id, licence, limits }: Info): void {
  const parts = [name, `${items.toLocaleString()} items`, `${dim} dimensions`, `model ${model_id}`, licence ?? '', limits ?? ''];
  byId('about').textContent = parts.filter(Boolean).join(' · ');
}

function showProgress({ loaded, total }: { loaded: number; total: number }): void {
  setStatus('loading', `Loading, ${Math.min(99, Math.round((100 * loaded) / Math.max(total, 1)))} %`);
}

function setStatus(state: 'loading' | 'ready' | 'failed', text: string): void {
  const status = byId('status');
  status.dataset.state = state;
  status.textContent = text;
}

/** Shows an error. Tests read its code from `data-code`. */
function fail(error: unknown): void {
  const code = error instanceof ForetasteError ? error.code : 'unexpected';
  byId('status').dataset.code = code;
  setStatus('failed', error instanceof Error ? `This did not work: ${error.message}` : 'This did not work');
}
