import { Handle, Module } from './modules.js';
import { forget, start, Tower } from './wasm/tower.js';

/** The tower's module, one instance for all bundles. */
export const towerModule = new Module('tower', 'model', 'low', start, forget);

/** The graphs of a bundle, and the sizes of their inputs. */
export type Graphs = { user: Uint8Array; ranker: Uint8Array | undefined; shapes: number[] };

/** An input of a graph. */
export type GraphInput = { shape: number[]; data: Float32Array | BigInt64Array };

/**
 * The user tower and the ranker of one bundle. A trap fails one run: `ready` then starts the module and builds the
 * tower again.
 */
export class Towers {
  private tower: Handle<Tower>;
  private ended = false;

  /** The module must run. */
  constructor(private readonly graphs: Graphs) {
    this.tower = this.build();
  }

  private build(): Handle<Tower> {
    const { user, ranker, shapes } = this.graphs;
    const [dim = 0, len = 0, context = 0, item = 0, slots = 0, heads = 0] = shapes;
    const tower = new Handle(towerModule, () => new Tower(user, undefined, dim, len, context, item));
    if (ranker) tower.call((tower) => tower.addRanker(ranker, slots, heads));
    return tower;
  }

  /** Resolves when the tower can run. */
  async ready(): Promise<void> {
    while (!this.tower.alive && !this.ended) {
      await towerModule.start();
      if (!this.tower.alive && !this.ended) this.tower = this.build();
    }
  }

  /** Runs a graph. Synchronous, because the core calls it in the middle of its own work. */
  run(graph: string, inputs: GraphInput[]): Float32Array[] {
    return this.tower.call((tower) => tower.run(graph, inputs) as Float32Array[]);
  }

  dispose(): void {
    this.ended = true;
    this.tower.free();
  }
}

/** What an entry with towers brings along beside the module itself. */
export const towerRuntime = { module: towerModule, open: (graphs: Graphs) => new Towers(graphs) };
