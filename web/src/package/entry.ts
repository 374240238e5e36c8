import type { Source } from './compile.js';
import type { Module } from './modules.js';
import type { Graphs, Towers } from './towers.js';
import type { Recommender } from './types.js';

/** What an entry of the package brings along. Entries differ in nothing else. */
export interface Entry {
  core: () => Source;
  /** The module of user towers and what runs them; missing in the slim entry. */
  tower?: { source: () => Source; module: Module; open: (graphs: Graphs) => Towers };
  /** Addresses of the scripts of workers. */
  worker: () => URL;
  shard: () => URL;
}

/** A recommender as the one who opens it sees it. */
export type Opened = Omit<Recommender, typeof Symbol.dispose>;
