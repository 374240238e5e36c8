import { refused, until } from './arguments.js';
import type { Opened } from './entry.js';
import type { Erasures } from './erasing.js';
import { disposed, said } from './errors.js';
import type { LoadOptions, Recommender } from './types.js';

type OnProgress = NonNullable<LoadOptions['onProgress']>;

/** The methods of a recommender that return promises, and those of its profile. */
export const METHODS = [
  'recommend',
  'shown',
  'rank',
  'explain',
  'featureValues',
  'search',
  'similar',
  'find',
  'record',
  'assign',
  'setConsent',
  'exportLog',
  'info',
  'replayGolden',
] as const;
export const PROFILE_METHODS = ['get', 'remove', 'export', 'import', 'clear'] as const;

/** One open bundle for all who loaded it. It is closed when the last of them has gone. */
export class Shared {
  private readonly opening = new AbortController();
  private readonly opened: Promise<Opened>;
  private readonly listeners = new Set<OnProgress>();
  private progress: Parameters<OnProgress>[0] | undefined;
  private holders = 0;

  constructor(
    open: (options: Required<Pick<LoadOptions, 'signal' | 'onProgress'>>) => Promise<Opened>,
    private readonly erasures: Erasures,
    /** Called when the bundle is closed, or when it or its model could not be opened. */
    private readonly gone: () => void,
  ) {
    const onProgress: OnProgress = (progress) => {
      this.progress = progress;
      this.listeners.forEach((listener) => listener(progress));
    };
    this.opened = open({ signal: this.opening.signal, onProgress });
    this.opened.then(({ ready }) => ready).catch(() => this.gone());
  }

  /**
   * A recommender for one who loads the bundle. Its `dispose` ends this one alone.
   *
   * @throws what the load throws; the reason of the signal
   */
  async hold(signal: AbortSignal | undefined, onProgress: OnProgress = () => {}): Promise<Recommender> {
    this.holders += 1;
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => (fail = reject));
    failed.catch(() => {});
    const listener: OnProgress = (progress) => {
      try {
        onProgress(progress);
      } catch (error) {
        fail(refused('options.onProgress', said(error), 'argument', error));
      }
    };
    let ended = false;
    const leave = (error: unknown) => {
      if (ended) return;
      ended = true;
      fail(error);
      this.listeners.delete(listener);
      this.holders -= 1;
      if (this.holders === 0) this.close(error);
    };
    try {
      this.listeners.add(listener);
      if (this.progress) listener(this.progress);
      const recommender = await until(signal, Promise.race([failed, this.opened]));
      const ready = Promise.race([failed, recommender.ready]);
      ready.catch(() => {});
      return heldBy(
        recommender,
        this.erasures,
        () => (ended ? failed : ready),
        () => ended,
        () => leave(disposed()),
      );
    } catch (error) {
      leave(error);
      throw error;
    }
  }

  private close(reason: unknown): void {
    this.gone();
    this.opening.abort(reason);
    this.opened.then((recommender) => recommender.dispose()).catch(() => {});
  }
}

/** The recommender as one of its holders has it. */
function heldBy(
  recommender: Opened,
  erasures: Erasures,
  ready: () => Promise<void>,
  ended: () => boolean,
  dispose: () => void,
): Recommender {
  const { profile } = recommender;
  const features = () => ({ ...recommender.features(), ...(erasures.fault && { storageError: erasures.fault }) });
  const calls = (names: readonly string[], of: object) => {
    const methods = of as Record<string, (...args: unknown[]) => unknown>;
    const call =
      (name: string) =>
      (...args: unknown[]) =>
        ended() ? Promise.reject(disposed()) : methods[name]?.(...args);
    return Object.fromEntries(names.map((name) => [name, call(name)]));
  };
  const erasing = {
    setConsent: (consent: unknown) => erasures.change(consent, (change) => recommender.setConsent(change)),
    clear: () => erasures.clear(features().consent, () => profile.clear()),
  };
  return {
    ...(calls(METHODS, recommender) as Pick<Recommender, (typeof METHODS)[number]>),
    ...calls(['setConsent'], erasing),
    profile: { ...calls(PROFILE_METHODS, profile), ...calls(['clear'], erasing) } as unknown as Recommender['profile'],
    get ready() {
      return ready();
    },
    features,
    dispose,
    // Older engines have no such symbol.
    [Symbol.dispose ?? 'dispose']: dispose,
  } as Recommender;
}
