/** React hooks: a bundle's recommender, and slates that know what the visitor has seen. */
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'react';
import {
  ask,
  failed,
  keyOf,
  LATE_MS,
  LOADING,
  open,
  type RecommenderState,
  type SlateRequest,
  type SlateState,
} from './component.js';
import type { Item, KeptEvent, LoadOptions, Recommender } from './types.js';

export type { RecommenderState, SlateRequest, SlateState } from './component.js';

/** Options of `useSlate`. */
export interface SlateOptions {
  /** Options of `load`, if the slate opens its bundle itself. */
  load?: LoadOptions;
  /**
   * Milliseconds to wait for the tower before popular items stand in, which they also do if the tower fails. `false`
   * shows no popular items. Default: 1000.
   */
  fallback?: number | false;
  /** Items to show while the slate is loading, such as those that the server has rendered. */
  initial?: Item[];
}

/** What `useSlate` returns. */
export interface UsedSlate extends SlateState {
  /** Asks for a new slate. The present one stays until the new one is there. */
  reload(): void;
  /** Records the visitor's answer to an item, with the slate's id. */
  record(item: Pick<Item, 'id'>, type: string, value?: number): Promise<KeptEvent>;
  /**
   * The `ref` of the element that shows an item. The log gets the slate, down to this item, once half of the element
   * was visible for a second.
   */
  seen(item: Pick<Item, 'id'>): (element: Element | null) => void;
}

const OPENING: RecommenderState = { status: 'loading' };

/**
 * Opens a bundle for as long as the component is mounted; components with the same address and options share it.
 * Without an address it waits for one. On the server, and in the first render in the page, the status is `loading`.
 */
export function useRecommender(url: string | URL | undefined, options: LoadOptions = {}): RecommenderState {
  const [state, setState] = useState(OPENING);
  const callback = useRef(options.onProgress);
  useEffect(() => {
    callback.current = options.onProgress;
  });
  const { onProgress: _, ...rest } = options;
  // Options are compared by what they say.
  useEffect(() => {
    setState(OPENING);
    return url === undefined ? undefined : open(url, { ...rest, onProgress: (now) => callback.current?.(now) }, setState);
  }, [url && String(url), keyOf(rest)]);
  return state;
}

/**
 * The slate of a bundle's address, of a recommender or of what `useRecommender` returned. Requests are compared by what
 * they say, so they may be written in place.
 */
export function useSlate(
  source: string | URL | Recommender | RecommenderState | undefined,
  request: SlateRequest = {},
  { load, fallback = LATE_MS, initial }: SlateOptions = {},
): UsedSlate {
  const isAddress = typeof source === 'string' || source instanceof URL;
  const own = useRecommender(isAddress ? source : undefined, load);
  const given = isAddress ? own : source;
  const { recommender, error }: RecommenderState =
    given === undefined || 'status' in given ? (given ?? OPENING) : { status: 'ready', recommender: given };

  const [state, setState] = useState(LOADING);
  const [reloads, reload] = useReducer((n: number) => n + 1, 0);
  // Requests too.
  useEffect(() => {
    if (recommender) return ask(recommender, request, fallback, setState);
    setState(LOADING);
  }, [recommender, keyOf(request), fallback, reloads]);

  const { watch, record, ...shown } = error === undefined ? state : failed(error);
  const items = shown.status === 'loading' && initial ? initial : shown.items;
  const refs = useMemo(() => new Map<string, (element: Element | null) => void>(), [watch]);
  const seen = useCallback(
    ({ id }: Pick<Item, 'id'>) => {
      // React takes a new function for another ref, and the item's second would start anew.
      const ref =
        refs.get(id) ??
        ((element: Element | null) =>
          watch(
            items.findIndex((item) => item.id === id),
            element,
          ));
      refs.set(id, ref);
      return ref;
    },
    [refs, watch, items],
  );
  return { ...shown, items, reload, record, seen };
}
