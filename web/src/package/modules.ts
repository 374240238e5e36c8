import { ForetasteError, typed } from './errors.js';
import { wasmOf } from './compile.js';
import type { WasmSource } from './types.js';
import initCore, { Core } from './wasm/core.js';
import initTower, { forget, Tower } from './wasm/tower.js';

/** The modules beside this script. The towers' own is fetched at the first load, after the core's. */
const CORE = new URL('./wasm/core.wasm', import.meta.url);
const TOWER = new URL('./wasm/tower.wasm', import.meta.url);

let core: Promise<typeof Core> | undefined;
let tower: Promise<WebAssembly.Module> | undefined;
/** Counts the starts of the tower module: its objects belong to one start. */
let starts = 0;

/** The class of the core, loaded once. A failed load can be tried again. */
export function loadCore(source: WasmSource = CORE): Promise<typeof Core> {
  core ??= wasmOf(source)
    .then((module) => initCore({ module_or_path: module }))
    .then(() => Core)
    .catch((error: unknown) => {
      core = undefined;
      throw error;
    });
  return core;
}

/** The tower's module, loaded and started once. */
export function loadTower(source: WasmSource = TOWER): Promise<WebAssembly.Module> {
  tower ??= wasmOf(source, 'low')
    .then(async (module) => {
      await startTower(module);
      return module;
    })
    .catch((error: unknown) => {
      tower = undefined;
      throw error;
    });
  return tower;
}

async function startTower(module: WebAssembly.Module): Promise<void> {
  forget();
  await initTower({ module_or_path: module });
  starts += 1;
}

/** An input of a graph. */
export type Input = { shape: number[]; data: Float32Array | BigInt64Array };

/**
 * The towers of one bundle. A trap of the module poisons nothing but the run: the module is started again from its kept code, and
 * the towers are built again at the next run.
 */
export class Towers {
  private tower: Tower | undefined;
  private start = -1;
  private restarting: Promise<void> | undefined;

  constructor(
    private readonly module: WebAssembly.Module,
    private readonly graphs: { user: Uint8Array; item: Uint8Array; shapes: Uint32Array },
  ) {
    this.build();
  }

  private build(): Tower {
    if (!this.tower || this.start !== starts) {
      const { user, item, shapes } = this.graphs;
      const [dim = 0, len = 0, context = 0, slots = 0] = shapes;
      this.tower = this.guarded(() => new Tower(user, item, dim, len, context, slots));
      this.start = starts;
    }
    return this.tower;
  }

  /** Runs a graph. Synchronous: the core calls it in the middle of its own work. */
  run(graph: string, inputs: Input[]): Float32Array[] {
    const tower = this.build();
    return this.guarded(() => tower.run(graph, inputs) as Float32Array[]);
  }

  /** Waits for a restart after a trap. */
  async settled(): Promise<void> {
    await this.restarting;
  }

  private guarded<T>(call: () => T): T {
    try {
      return typed(call);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      this.restarting = startTower(this.module);
      throw new ForetasteError('model', `the tower failed and is started again: ${error.message}`, 'tower', { cause: error });
    }
  }

  dispose(): void {
    if (this.start === starts) this.tower?.free();
    this.tower = undefined;
  }
}
