import { DEFAULT_K } from './arguments.js';
import { ForetasteError, load } from './index.js';
import { Impressions } from './seen.js';
import type { Item, KeptEvent, LoadOptions, Recommender, Request, Slate } from './types.js';

/** A bundle that a component opens. */
export interface RecommenderState {
  status: 'loading' | 'ready' | 'error';
  /** Set once the status is `ready`. */
  recommender?: Recommender | undefined;
  /** Why the bundle could not be opened. */
  error?: unknown;
  /** Bytes fetched so far. */
  progress?: Parameters<NonNullable<LoadOptions['onProgress']>>[0] | undefined;
}

/** What a component asks for: a request without what the component sets itself. */
export type SlateRequest = Omit<Request, 'hold' | 'signal'>;

/** A slate that a component shows. */
export interface SlateState {
  /** `empty`: there is a slate, or a list of popular items, without items. */
  status: 'loading' | 'ready' | 'empty' | 'error';
  /** The slate; undefined while popular items stand in. */
  slate?: Slate | undefined;
  items: Item[];
  /** Whether popular items stand in, because the tower failed or is late. */
  fallback: boolean;
  /** What went wrong. With `ready` the items are good to show all the same. */
  error?: unknown;
}

/** A slate, and what a component does with it. */
export interface Shown extends SlateState {
  /** Watches the element of an item: the log gets the slate once it was seen. `null` ends the watch. */
  watch(slot: number, element: Element | null): void;
  /** Records the visitor's answer to an item. */
  record(item: Pick<Item, 'id'>, type: string, value?: number): Promise<KeptEvent>;
}

/** How long a component waits for the tower before popular items stand in, in milliseconds. */
export const LATE_MS = 1000;

/** Equal for options and requests that say the same. */
export function keyOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // The core refuses it.
    return '';
  }
}

/** Before there is a recommender. */
export const LOADING: Shown = {
  status: 'loading',
  items: [],
  fallback: false,
  watch() {},
  record: async () => {
    throw new ForetasteError('argument', 'record: the recommender is still loading', 'record');
  },
};

/** If there is no recommender. */
export const failed = (error: unknown): Shown => ({ ...LOADING, status: 'error', error });

/**
 * Opens a bundle and reports how far that is. Returns a function that lets go of it a little later, so whoever opens
 * the bundle again in the same turn (React's StrictMode, an element that moves) finds it open.
 */
export function open(url: string | URL, options: LoadOptions, report: (state: RecommenderState) => void): () => void {
  const ended = new AbortController();
  const { signal, onProgress } = options;
  let current = true;
  let opened: Recommender | undefined;
  let progress: RecommenderState['progress'];
  const tell = (state: RecommenderState) => current && report({ ...state, progress });
  const abort = () => ended.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  const watching: LoadOptions['onProgress'] = (now) => {
    onProgress?.(now);
    progress = now;
    // Towers may still come when the bundle is open.
    tell(opened ? { status: 'ready', recommender: opened } : { status: 'loading' });
  };
  load(url, { ...options, signal: ended.signal, onProgress: watching }).then(
    (recommender) => {
      opened = recommender;
      if (ended.signal.aborted) recommender.dispose();
      tell({ status: 'ready', recommender });
    },
    (error: unknown) => tell({ status: 'error', error }),
  );
  return () => {
    current = false;
    setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      ended.abort();
      opened?.dispose();
    });
  };
}

/**
 * Asks for a slate and reports it, first popular items if the slate takes longer than `late` milliseconds, or only
 * these if the tower fails; `false` does without them. Returns a function that ends it all.
 */
export function ask(
  recommender: Recommender,
  request: SlateRequest,
  late: number | false,
  report: (shown: Shown) => void,
): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  let impressions: Impressions | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let answered = false;

  const tell = (state: SlateState) => {
    if (signal.aborted) return;
    const { slate } = state;
    impressions?.end();
    const seen =
      slate &&
      new Impressions((slots) => {
        const unwritten = (error: unknown) => seen === impressions && !signal.aborted && report({ ...shown, error });
        recommender.shown(slate.id, slots).catch(unwritten);
      });
    impressions = seen;
    const shown: Shown = {
      ...state,
      watch: (slot, element) => seen?.watch(slot, element),
      record: ({ id }, type, value) =>
        recommender.record({ item: id, type, ...(value !== undefined && { value }), ...(slate && { slate: slate.id }) }),
    };
    report(shown);
  };
  const tellList = (items: Item[], rest: Partial<SlateState>) =>
    tell({ status: items.length > 0 ? 'ready' : 'empty', items, fallback: false, ...rest });
  const tellPopular = async (error?: unknown) => {
    try {
      const items = await popular(recommender, request);
      if (error !== undefined || !answered) tellList(items, { fallback: true, error });
    } catch (reason) {
      if (error !== undefined || !answered) tell({ status: 'error', items: [], fallback: false, error: error ?? reason });
    }
  };

  if (late !== false) timer = setTimeout(() => tellPopular(), late);
  recommender
    .recommend({ ...request, hold: true, signal })
    .then(
      (slate) => {
        answered = true;
        tellList(slate.items, { slate });
      },
      (error: unknown) => {
        answered = true;
        if (late !== false && isTowers(error, recommender)) return tellPopular(error);
        tell({ status: 'error', items: [], fallback: false, error });
      },
    )
    .finally(() => clearTimeout(timer));
  return () => {
    clearTimeout(timer);
    ended.abort();
    impressions?.end();
  };
}

/** Whether an error is the tower's fault and not the request's. */
function isTowers(error: unknown, recommender: Recommender): boolean {
  const { code } = error as { code?: unknown };
  return code === 'model' || code === 'no-model' || recommender.features().model === 'failed';
}

/** Popular items that the request allows and the visitor has not answered yet. */
async function popular(recommender: Recommender, { k = DEFAULT_K, exclude = [] }: SlateRequest): Promise<Item[]> {
  const events = await recommender.profile.get();
  const out = new Set([...exclude, ...events.map(({ item }) => item)]);
  const items = await recommender.find('', { k: k + out.size });
  return items.filter(({ id }) => !out.has(id)).slice(0, k);
}
