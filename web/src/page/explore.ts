import type { Explore } from '../package/index.js';

/** A policy that the visitor can choose, with one dial from 0 to 1. */
export interface PolicyChoice {
  name: string;
  /** What the dial does, for the visitor. */
  hint: string;
  /** The settings for a position of the dial. At 0 every policy shows the best items. */
  settings(dial: number): Explore;
  /** Whether a slot with this propensity probably shows another item than the best one left. */
  explored(propensity: number, dial: number): boolean;
}

const isUnlikely = (propensity: number) => propensity < 0.5;

/** Settings that are greedy at 0. */
const greedyAtZero =
  (settings: (dial: number) => Explore) =>
  (dial: number): Explore =>
    dial === 0 ? { policy: 'greedy' } : settings(dial);

/** The page starts with the first one. */
export const CHOICES: [PolicyChoice, ...PolicyChoice[]] = [
  {
    name: 'Chance',
    hint: 'How many slots show a random item of the catalog. At 0 % every slot shows the best item left.',
    settings: greedyAtZero((epsilon) => ({ policy: 'epsilon-greedy', epsilon })),
    // The best item left has a probability of at least 1 − ε, any other only its share of ε.
    explored: (propensity, epsilon) => propensity < 1 - epsilon,
  },
  {
    name: 'Softmax',
    hint: 'Better items come up more often; to the right, worse ones get more chances. At 0 % every slot shows the best item left.',
    settings: greedyAtZero((dial) => ({ policy: 'softmax', temperature: 4 * dial })),
    explored: isUnlikely,
  },
  {
    name: 'Upper bounds',
    hint: 'Items that may be the best come first; to the right, items that are known least. Learns from each answer at once.',
    settings: greedyAtZero((dial) => ({ policy: 'ucb', alpha: 4 * dial })),
    explored: isUnlikely,
  },
  {
    name: 'Thompson',
    hint: 'Shows an item as often as it may be the best. To the right, your answers count more. Learns from each answer at once.',
    settings: greedyAtZero((dial) => ({ policy: 'thompson', prior: 3 * dial })),
    explored: isUnlikely,
  },
];
