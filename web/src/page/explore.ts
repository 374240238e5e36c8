import type { Explore } from '../package/index.js';

/** A way to explore, with one dial. */
export interface Way {
  name: string;
  /** What the dial does. */
  says: string;
  /** The knobs for a dial of 0, the best alone, to 1. */
  knobs(dial: number): Explore;
  /** Whether a slot of this propensity shows another than the best item left. */
  explored(propensity: number, dial: number): boolean;
}

const unlikely = (propensity: number) => propensity < 0.5;
const bold = (explore: (dial: number) => Explore) => (dial: number): Explore => (dial === 0 ? { policy: 'greedy' } : explore(dial));

/** The first is where the page begins. */
export const WAYS: [Way, ...Way[]] = [
  {
    name: 'Chance',
    says: 'How many slots are drawn from the whole catalog. At 0 % every slot shows the best item left.',
    knobs: bold((epsilon) => ({ policy: 'epsilon-greedy', epsilon })),
    // The best item left has 1 − ε and its share of ε; any other has that share alone.
    explored: (propensity, epsilon) => propensity < 1 - epsilon,
  },
  {
    name: 'Softmax',
    says: 'The better the likelier: to the right, worse items come up more often. At 0 % every slot shows the best item left.',
    knobs: bold((dial) => ({ policy: 'softmax', temperature: 4 * dial })),
    explored: unlikely,
  },
  {
    name: 'Upper bounds',
    says: 'What may be best goes first: to the right, what is least known of you goes first. It learns from each answer at once.',
    knobs: bold((dial) => ({ policy: 'ucb', alpha: 4 * dial })),
    explored: unlikely,
  },
  {
    name: 'Thompson',
    says: 'Each as often as it may be best: to the right, the model is believed less, and your answers more. It learns from each at once.',
    knobs: bold((dial) => ({ policy: 'thompson', prior: 3 * dial })),
    explored: unlikely,
  },
];
