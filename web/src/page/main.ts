import { ForetasteError, type Info, type Item, type KeptEvent, load, type Recommender, type Slate } from '../package/index.js';
import { type Answer, answerButtons, fieldsLine, scaleOf } from './answer.js';
import { byId, el, iconButton, replaceRows } from './dom.js';
import { CHOICES, type PolicyChoice } from './explore.js';

/** Items of a slate. */
const SLOTS = 10;
/** Items that a search shows. */
const FOUND = 6;
/** Picks that are shown until the visitor asks for all. */
const LATEST = 10;

/** The state that everything on the page is drawn from. */
interface Page {
  recommender: Recommender;
  info: Info;
  /** Ratings that the visitor can give, lowest first; none if the bundle knows no ratings. */
  scale: number[];
  /** Titles of picked items by id. */
  titles: Map<string, string>;
  /** What the visitor has answered, by item. */
  answers: Map<string, Answer>;
  /** The items under the search field. */
  found: Item[];
  allPicks: boolean;
  /** Settles after the visitor's last answer: answers are taken one at a time, so that none is recorded twice. */
  answered: Promise<void>;
  seed: number;
}

const search = byId<HTMLInputElement>('search');
const policy = byId<HTMLSelectElement>('policy');
const epsilon = byId<HTMLInputElement>('epsilon');

void start();

async function start(): Promise<void> {
  try {
    showPolicies();
    const address = bundleAddress();
    const recommender = await load(address, {
      // A slow phone answers taps while the model starts.
      worker: true,
      storage: 'indexeddb',
      // Each bundle has its own events: the same id is another item elsewhere.
      namespace: `page ${address.pathname}`,
      onProgress: showProgress,
    });
    const info = await recommender.info();
    const page: Page = {
      recommender,
      info,
      scale: scaleOf(info),
      titles: new Map(),
      answers: new Map(),
      found: [],
      allPicks: false,
      answered: Promise.resolve(),
      seed: 1,
    };
    about(info);
    listen(page);
    await find(page);
    setStatus('loading', 'Loading the model');
    await recommender.ready;
    epsilon.disabled = policy.disabled = false;
    await refresh(page);
    setStatus('ready', 'Runs on this device');
  } catch (error) {
    fail(error);
  }
}

/** The folder of the bundle: `bundle/` beside the page, or the folder that `?bundle=` names on this host. */
function bundleAddress(): URL {
  const folder = new URLSearchParams(location.search).get('bundle') ?? 'bundle/';
  const url = new URL(folder, document.baseURI);
  if (url.origin !== location.origin) throw new ForetasteError('argument', 'the bundle is on another host', 'bundle');
  return url;
}

function showPolicies(): void {
  policy.replaceChildren(...CHOICES.map(({ name }, i) => el('option', { value: String(i) }, name)));
  byId('epsilon-hint').textContent = CHOICES[0].hint;
}

function listen(page: Page): void {
  search.disabled = false;
  search.addEventListener('input', () => void guarded(() => find(page)));
  for (const dial of [policy, epsilon]) dial.addEventListener('input', () => void guarded(() => recommend(page)));
  byId('redraw').addEventListener('click', () => {
    page.seed += 1;
    void guarded(() => recommend(page));
  });
  byId('reset').addEventListener('click', () => {
    void guarded(async () => {
      await page.recommender.profile.clear();
      await refresh(page);
      byId('no-picks').focus();
    });
  });
  byId('all-picks').addEventListener('click', () => {
    page.allPicks = true;
    void guarded(async () => {
      await showPicks(page);
      byId('picks').children[LATEST]?.querySelector('button')?.focus();
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
  page.found = items;
  showFound(page);
  byId('found').dataset.text = text;
}

function showFound(page: Page): void {
  const rows = page.found.map((item) => row(page, item));
  replaceRows(byId('found'), rows, search);
}

/** An item of the search results or of a list of similar items. */
function row(page: Page, item: Item): HTMLElement {
  return el('li', { 'data-id': item.id }, titleLine(item.title ?? item.id), fieldsLine(item), answerBar(page, item));
}

/** A title in one line. What does not fit shows when pointed at. */
function titleLine(name: string): HTMLElement {
  return el('span', { class: 'title', title: name }, name);
}

function answerBar(page: Page, item: Item, slate?: string): HTMLElement {
  return answerButtons(item, page.scale, page.answers.get(item.id), (answer) => pick(page, item, answer, slate));
}

/** Records an answer in place of an earlier one and redraws. `slate` is the slate that showed the item. */
function pick(page: Page, item: Item, { rating }: Answer, slate?: string): void {
  const { recommender, titles } = page;
  const record = async () => {
    const name = item.title ?? item.id;
    titles.set(item.id, name);
    const earlier = (await recommender.profile.get()).filter((event) => event.item === item.id);
    const answer = rating === undefined ? { type: 'like' } : { type: 'rate', value: rating };
    if (earlier.some((event) => event.type === answer.type && event.value === rating)) {
      return say(`${name} is among your picks already`);
    }
    await recommender.record({ item: item.id, ...answer, ...(slate !== undefined && { slate }) });
    for (const event of earlier) await recommender.profile.remove(event.id);
    await refresh(page);
  };
  page.answered = page.answered.then(() => guarded(record));
}

/** Redraws the picks and the recommendations. */
async function refresh(page: Page): Promise<void> {
  await showPicks(page);
  showFound(page);
  await recommend(page);
}

/** Shows the latest picks, or all if the visitor has asked for them. */
async function showPicks(page: Page): Promise<void> {
  const events = (await page.recommender.profile.get()).reverse();
  page.answers = new Map(events.map(({ item, value }) => [item, { rating: value }]));
  const shown = page.allPicks ? events : events.slice(0, LATEST);
  await Promise.all(shown.map(({ item }) => findTitle(page, item)));
  byId('no-picks').hidden = events.length > 0;
  const rows = shown.map((event) => pickRow(page, event));
  replaceRows(byId('picks'), rows, byId('no-picks'));
  byId('all-picks').hidden = shown.length === events.length;
  byId('all-picks').textContent = `Show all ${events.length}`;
  byId<HTMLButtonElement>('reset').disabled = events.length === 0;
  const { storage, storageError } = page.recommender.features();
  byId('kept').textContent =
    storage === 'indexeddb' && storageError === undefined
      ? 'Kept on this device until you start over.'
      : `Kept until you leave this page: ${storageError ?? 'this browser stores nothing'}`;
}

/** Looks up the title of an item that an earlier visit has picked. The catalog may no longer have it. */
async function findTitle({ recommender, titles }: Page, id: string): Promise<void> {
  if (titles.has(id)) return;
  try {
    const [item] = await recommender.rank([id]);
    titles.set(id, item?.title ?? id);
  } catch (error) {
    if (!(error instanceof ForetasteError && error.code === 'unknown-item')) throw error;
    titles.set(id, id);
  }
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
  const button = iconButton('cross', `Remove ${name}`, remove);
  const answer = el('span', { class: 'answer' }, el('span', { class: 'given' }, given), button);
  return el('li', { 'data-id': event.item }, titleLine(name), answer);
}

/** Gets a slate for the current picks and shows it. */
async function recommend(page: Page): Promise<void> {
  const choice = CHOICES[Number(policy.value)] ?? CHOICES[0];
  const dial = Number(epsilon.value) / 100;
  byId('epsilon-value').textContent = `${epsilon.value} %`;
  byId('epsilon-hint').textContent = choice.hint;
  byId<HTMLButtonElement>('redraw').disabled = dial === 0;
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
  replaceRows(list, cards, byId('slate'));
  say(`${items.length} recommendations, first: ${items[0]?.title ?? items[0]?.id ?? 'none'}`);
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
    answerBar(page, item, slate.id),
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
  byId('timings').replaceChildren(
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

/** Tells a screen reader what has changed. */
function say(text: string): void {
  byId('said').textContent = text;
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
