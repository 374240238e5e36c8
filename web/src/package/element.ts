/** The element `<foretaste-slate>`: a list of recommended items. Importing this file defines it. */
import { DEFAULT_K } from './arguments.js';
import { ask, failed, keyOf, LATE_MS, LOADING, open, type Shown, type SlateRequest, type SlateState } from './component.js';
import { empty, frame, nodeOf, STYLE } from './frame.js';
import { ForetasteError } from './index.js';
import type { Explore, Info, Item, KeptEvent, LoadOptions, Recommender, Value } from './types.js';

export type { SlateRequest, SlateState } from './component.js';
export { type ShellOptions, shell } from './frame.js';

/** Detail of `foretaste-choose`. */
export interface Choice {
  item: Item;
  /** Place in the list, from 0. */
  slot: number;
  /** Id of the slate; undefined if popular items stand in. */
  slate: string | undefined;
}

const NAME = 'foretaste-slate';

/** Attributes that say which bundle is opened, and how. */
const OPENING = ['src', 'storage', 'namespace', 'worker'];
/** Attributes that say what is asked. */
const ASKING = ['k', 'policy', 'diversity', 'fallback'];
/** Properties that a page may set before the element is defined. */
const PROPERTIES = ['request', 'options', 'recommender', 'renderItem'] as const;

// A server has no such class, and may import this file all the same.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * A list of recommended items.
 *
 * Attributes: `src` (the bundle), `k`, `policy`, `diversity`, `storage`, `namespace`, `worker`, `heading`, `level` of
 * the heading, `link` (address of an item, such as `/item/{id}`), `answer` (event type of a choice; default `like`,
 * else the first positive type of the bundle), `fallback` (milliseconds until popular items stand in, default 1000, or
 * `off`).
 * Children: `<template slot="item">`, whose elements with `data-field="title"` get that text; slots `loading`, `empty`,
 * `error`, `retry` and `fallback`; anything else is shown until the slate is there.
 * Events: `foretaste-choose`, which can be cancelled, then `foretaste-record`; `foretaste-state` and `foretaste-error`.
 */
export class ForetasteSlate extends Base {
  static readonly observedAttributes = [...OPENING, ...ASKING, 'heading', 'level', 'link'];

  #request: SlateRequest = {};
  #options: LoadOptions = {};
  #given: Recommender | undefined;
  #renderItem: ((item: Item) => Node | string) | undefined;

  #opened: Recommender | undefined;
  #info: Info | undefined;
  #shown: Shown = LOADING;
  /** Items that were chosen: a second choice is no second event. */
  #chosen = new Set<string>();
  #scheduled = false;
  #openKey: unknown[] = [];
  #askKey: unknown[] = [];
  #reloads = 0;
  #close: () => void = () => {};
  #stop: () => void = () => {};

  /** More of the request than the attributes say. */
  get request(): SlateRequest {
    return this.#request;
  }
  set request(request: SlateRequest | undefined) {
    this.#request = request ?? {};
    this.#schedule();
  }

  /** More options of `load` than the attributes say. */
  get options(): LoadOptions {
    return this.#options;
  }
  set options(options: LoadOptions | undefined) {
    this.#options = options ?? {};
    this.#schedule();
  }

  /** The recommender. A page may set its own, which the element then does not dispose of. */
  get recommender(): Recommender | undefined {
    return this.#given ?? this.#opened;
  }
  set recommender(recommender: Recommender | undefined) {
    this.#given = recommender;
    this.#schedule();
  }

  /** Makes what an item's link contains, instead of the template. A text becomes a text node. */
  get renderItem(): ((item: Item) => Node | string) | undefined {
    return this.#renderItem;
  }
  set renderItem(render: ((item: Item) => Node | string) | undefined) {
    this.#renderItem = render;
    if (this.#root) this.#draw();
  }

  /** What is shown. */
  get state(): SlateState {
    const { watch: _, record: __, ...state } = this.#shown;
    return state;
  }

  /** Asks for a new slate, or opens the bundle again if that failed. */
  reload(): void {
    this.#reloads += 1;
    if (!this.recommender) this.#openKey = [];
    this.#schedule();
  }

  connectedCallback(): void {
    for (const name of PROPERTIES) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name] as never;
      delete this[name];
      this[name] = value;
    }
    this.#frame();
    this.#schedule();
  }

  disconnectedCallback(): void {
    this.#schedule();
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now || !this.#root) return;
    if (name === 'heading' || name === 'level') this.#frame();
    this.#schedule();
  }

  get #root(): ShadowRoot | null {
    return this.shadowRoot;
  }

  /** An element of the frame. What a page's template puts into the list may look the same. */
  #find<T extends HTMLElement>(selector: string): T {
    const found = [...(this.#root?.querySelectorAll<T>(selector) ?? [])];
    return found.find((element) => !element.parentElement?.closest('[part=list]')) as T;
  }

  /** The row that has the focus; -1 if none has. */
  #focusedRow(): number {
    const rows = this.#root?.querySelector('.list')?.children ?? [];
    return [...rows].findIndex((row) => row.contains(this.#root?.activeElement ?? null));
  }

  /** Makes the shadow tree, or takes over the server's. */
  #frame(): void {
    const root = this.#root ?? this.attachShadow({ mode: 'open' });
    if (root.adoptedStyleSheets.length === 0) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
      root.addEventListener('click', (event) => this.#clicked(event));
      // Children may come later than the element.
      root.addEventListener('slotchange', () => this.#schedule());
    }
    const focused = this.#focusedRow();
    const [heading, level, label] = ['heading', 'level', 'aria-label'].map((name) => this.getAttribute(name));
    root.replaceChildren(...frame(heading ?? '', level ?? null, label ?? null, 0, '').map(nodeOf));
    this.#draw(focused);
  }

  /** Starts what has changed, once for all changes of this turn. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#update();
    });
  }

  #update(): void {
    const attribute = (name: string) => this.getAttribute(name) ?? undefined;
    const { signal, onProgress, ...options } = this.#options;
    const opening = this.isConnected ? [this.#given, signal, keyOf(options), ...OPENING.map(attribute)] : [];
    if (changed(opening, this.#openKey)) {
      this.#openKey = opening;
      this.#askKey = [];
      this.#stop();
      this.#close();
      this.#close = this.#stop = () => {};
      this.#opened = this.#info = undefined;
      this.#show(LOADING);
      const src = attribute('src');
      if (this.isConnected && !this.#given && src !== undefined) {
        const given = Object.fromEntries(['storage', 'namespace'].map((name) => [name, attribute(name)]).filter(([, of]) => of));
        const worker = attribute('worker');
        if (worker !== undefined) given.worker = worker === '' || worker === 'true' || (worker !== 'false' && Number(worker));
        this.#close = open(src, { ...given, ...this.#options }, ({ recommender, error }) => {
          if (error !== undefined) this.#show(failed(error));
          if (this.#opened === recommender) return;
          this.#opened = recommender;
          this.#schedule();
        });
      }
    }
    const { recommender } = this;
    const { explore, ...request } = this.#request;
    const asking = [recommender, this.#reloads, keyOf(this.#request), ...ASKING.map(attribute)];
    if (recommender && this.isConnected && changed(asking, this.#askKey)) {
      this.#askKey = asking;
      this.#stop();
      this.#find('.list').setAttribute('aria-busy', 'true');
      const [k, policy, diversity, fallback] = ASKING.map(attribute);
      this.#stop = ask(
        recommender,
        {
          ...(k !== undefined && { k: Number(k) }),
          ...(diversity !== undefined && { diversity: Number(diversity) }),
          ...((policy ?? explore) && { explore: { policy, ...explore } as Explore }),
          ...request,
        },
        fallback === 'off' ? false : Number(fallback) >= 0 ? Number(fallback) : LATE_MS,
        (shown) => this.#show(shown),
      );
    } else if (this.isConnected) this.#draw();
  }

  #show(shown: Shown): void {
    // The new slate's list is another one only if its items are: an error that comes later changes no item.
    const same = shown.items === this.#shown.items;
    const before = this.#shown;
    this.#shown = shown;
    if (!same) this.#chosen.clear();
    if (shown.error !== undefined && shown.error !== before.error) this.#tell('error', shown.error);
    if (!this.isConnected) return;
    if (!same || shown.status !== before.status || shown.status === 'loading') this.#draw();
    if (shown.status !== before.status || !same) this.#tell('state', this.state);
  }

  #draw(focused = this.#focusedRow()): void {
    const { status, items, fallback } = this.#shown;
    const list = this.#find('.list');
    const has = (kind: string) => status === kind;
    const given = has('loading') && [...this.children].some(({ slot, localName }) => slot === '' && localName !== 'template');
    const asked = Number(this.#request.k ?? this.getAttribute('k') ?? DEFAULT_K);
    // Where the number makes no sense, the core says so.
    const k = asked > 0 && asked <= 1000 ? asked : DEFAULT_K;

    const retry = this.#find('.retry');
    const active = this.#root?.activeElement;
    // The list keeps the focus of a row or of the button while they are away.
    const waits = active === list || (active === retry && !has('error'));
    const rows = items.map((item) => this.#row(item));
    const rest = empty(has('loading') && !given ? 'skeleton' : 'filler', Math.max(0, k - items.length));
    list.replaceChildren(...rows, ...rest.map(nodeOf));
    rows.forEach((row, slot) => this.#shown.watch(slot, row));

    list.setAttribute('aria-busy', String(has('loading')));
    list.classList.toggle('unseen', !has('ready') && (!has('loading') || given));
    this.#find('.given').hidden = !given;
    for (const name of ['loading', 'empty', 'error']) this.#find(`[name=${name}]`).hidden = !has(name);
    retry.hidden = !has('error');
    if (focused >= 0 || waits) {
      list.tabIndex = -1;
      const row = rows[Math.min(Math.max(focused, 0), rows.length - 1)]?.firstElementChild as HTMLElement | undefined;
      (row ?? (has('error') ? retry : list)).focus({ preventScroll: true });
    }
    this.#find('[part=note]').classList.toggle('unseen', !fallback);
    this.setAttribute('state', fallback && has('ready') ? 'fallback' : status);
  }

  #row(item: Item): HTMLElement {
    const address = this.#address(item);
    const link = document.createElement(address ? 'a' : 'button');
    link.className = 'link';
    link.setAttribute('part', 'link');
    if (address) (link as HTMLAnchorElement).href = address;
    else (link as HTMLButtonElement).type = 'button';
    link.append(this.#content(item));
    const row = document.createElement('li');
    row.className = 'item';
    row.setAttribute('part', 'item');
    row.append(link);
    return row;
  }

  /** What an item's link contains. */
  #content(item: Item): Node | string {
    const name = item.title ?? item.id;
    if (this.#renderItem) {
      try {
        return this.#renderItem(item) ?? name;
      } catch (error) {
        this.#tell('error', error);
        return name;
      }
    }
    const template = this.querySelector<HTMLTemplateElement>(':scope > template[slot=item]');
    if (!template) {
      const title = document.createElement('span');
      title.setAttribute('part', 'title');
      title.append(name);
      return title;
    }
    const content = template.content.cloneNode(true) as DocumentFragment;
    for (const element of content.querySelectorAll<HTMLElement>('[data-field]')) {
      const field = element.dataset.field ?? '';
      const own: Record<string, unknown> = { title: name, id: item.id, score: item.score, rating: item.rating };
      element.textContent = wordsOf((own[field] ?? item.fields[field] ?? '') as Value);
    }
    return content;
  }

  /** The address of an item; undefined if there is no pattern or it is not one of a page. */
  #address({ id }: Item): string | undefined {
    const pattern = this.getAttribute('link');
    if (pattern === null) return undefined;
    const url =
      URL.canParse(pattern, document.baseURI) && new URL(pattern.replaceAll('{id}', encodeURIComponent(id)), document.baseURI);
    if (url && [location.protocol, 'http:', 'https:'].includes(url.protocol)) return url.href;
    this.#tell(
      'error',
      new ForetasteError('argument', `link: expected an address of http, https or the page's own, got ${pattern}`, 'link'),
    );
    return undefined;
  }

  #clicked(event: Event): void {
    const target = event.target as Element;
    if (this.#find('.retry').contains(target)) this.reload();
    const slot = [...this.#find('.list').children].findIndex((row) => row.firstElementChild?.contains(target));
    const item = this.#shown.items[slot];
    if (!item) return;
    const detail: Choice = { item, slot, slate: this.#shown.slate?.id };
    if (!this.#tell('choose', detail, true)) event.preventDefault();
    else if (!this.#chosen.has(item.id)) {
      this.#chosen.add(item.id);
      this.#answer(this.#shown, item).catch((error: unknown) => {
        this.#chosen.delete(item.id);
        this.#tell('error', error);
      });
    }
  }

  async #answer(shown: Shown, item: Item): Promise<void> {
    this.#tell('record', await shown.record(item, this.getAttribute('answer') ?? (await this.#answerType())));
  }

  /** The event type of a choice where the page names none. */
  async #answerType(): Promise<string> {
    this.#info ??= await this.recommender?.info();
    const types = this.#info?.encoding.history.types ?? [];
    const of = types.find(({ name }) => name === 'like') ?? types.find(({ positive }) => positive) ?? types[0];
    return of?.name ?? 'view';
  }

  #tell(name: string, detail: unknown, cancelable = false): boolean {
    return this.dispatchEvent(new CustomEvent(`foretaste-${name}`, { detail, cancelable, bubbles: true, composed: true }));
  }
}

function changed(now: unknown[], before: unknown[]): boolean {
  return now.length !== before.length || now.some((value, i) => value !== before[i]);
}

function wordsOf(value: Value): string {
  return Array.isArray(value) ? value.join(', ') : String(value ?? '');
}

declare global {
  interface HTMLElementTagNameMap {
    'foretaste-slate': ForetasteSlate;
  }
  interface HTMLElementEventMap {
    'foretaste-choose': CustomEvent<Choice>;
    'foretaste-record': CustomEvent<KeptEvent>;
    'foretaste-state': CustomEvent<SlateState>;
    'foretaste-error': CustomEvent<unknown>;
  }
}

/** Defines the element, unless it is defined or there is no page. */
export function define(): void {
  if (typeof customElements !== 'undefined' && !customElements.get(NAME)) customElements.define(NAME, ForetasteSlate);
}

define();
