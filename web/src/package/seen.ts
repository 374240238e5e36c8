/** How long an item must be visible until it counts as seen, in milliseconds. */
const SEEN_MS = 1000;
/** Share of an item that must be visible, or of the viewport that an item taller than it must fill. */
const SHARE = 0.5;
/** Items that are seen within this time are one report, in milliseconds. */
const TOGETHER_MS = 100;
/** An item fifty times as tall as the viewport still reports that it fills half of it. */
const THRESHOLDS = Array.from({ length: 101 }, (_, i) => i / 100);

/** An element that is watched. */
type Watched = { seen: () => void; visible: boolean; timer: ReturnType<typeof setTimeout> | undefined };

const watched = new Map<Element, Watched>();
/** One for the whole page. */
let observer: IntersectionObserver | undefined;

/**
 * Calls `seen` once, when half of the element has been visible for one second in a visible document. Returns a function
 * that ends the watch.
 */
export function watch(element: Element, seen: () => void): () => void {
  if (!observer) {
    observer = new IntersectionObserver(moved, { threshold: THRESHOLDS });
    document.addEventListener('visibilitychange', () => watched.forEach((of, element) => restart(element, of)));
  }
  const of: Watched = { seen, visible: false, timer: undefined };
  watched.set(element, of);
  observer.observe(element);
  return () => watched.get(element) === of && forget(element, of);
}

function forget(element: Element, of: Watched): void {
  clearTimeout(of.timer);
  watched.delete(element);
  observer?.unobserve(element);
}

function moved(entries: IntersectionObserverEntry[]): void {
  for (const { target, isIntersecting, intersectionRatio, intersectionRect, boundingClientRect, rootBounds } of entries) {
    const of = watched.get(target);
    if (!of) continue;
    // A frame of another origin does not know the bounds.
    const height = rootBounds?.height ?? innerHeight;
    const fills = boundingClientRect.height > height && intersectionRect.height >= height * SHARE;
    // An element without an area counts as wholly visible.
    const hasArea = boundingClientRect.width > 0 && boundingClientRect.height > 0;
    const visible = isIntersecting && hasArea && (intersectionRatio >= SHARE || fills);
    if (visible === of.visible) continue;
    of.visible = visible;
    restart(target, of);
  }
}

/** Starts the second anew, or stops it. */
function restart(element: Element, of: Watched): void {
  clearTimeout(of.timer);
  if (!of.visible || document.visibilityState !== 'visible') return;
  of.timer = setTimeout(() => {
    // The observer does not see transparency; older browsers cannot tell.
    const shows = element.checkVisibility?.({ opacityProperty: true, visibilityProperty: true }) ?? true;
    if (!shows) return restart(element, of);
    forget(element, of);
    of.seen();
  }, SEEN_MS);
}

/** Reports how far down the visitor has seen a slate. */
export class Impressions {
  private slots = 0;
  private reported = 0;
  private scheduled: ReturnType<typeof setTimeout> | undefined;
  private readonly watches = new Map<number, () => void>();

  constructor(
    /** Gets the number of slots down to the last one that was seen. */
    private readonly report: (slots: number) => void,
  ) {}

  /** Watches the element of a slot; `null` ends the watch. */
  watch(slot: number, element: Element | null): void {
    this.watches.get(slot)?.();
    this.watches.delete(slot);
    // Slots above one that was seen are in its report.
    if (!element || slot < this.slots || typeof IntersectionObserver === 'undefined') return;
    this.watches.set(
      slot,
      watch(element, () => {
        this.slots = Math.max(this.slots, slot + 1);
        this.scheduled ??= setTimeout(() => this.flush(), TOGETHER_MS);
      }),
    );
  }

  /** Ends all watches. What was seen is reported. */
  end(): void {
    this.flush();
    this.watches.forEach((end) => end());
    this.watches.clear();
  }

  private flush(): void {
    clearTimeout(this.scheduled);
    this.scheduled = undefined;
    if (this.slots <= this.reported) return;
    this.reported = this.slots;
    this.report(this.slots);
  }
}
