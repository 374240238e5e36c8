import { ForetasteError, typed } from './errors.js';
import { wasmOf } from './compile.js';
import { instructionSet } from './instructions.js';
import type { WasmSource } from './types.js';
import initCore, { Core } from './wasm/core.js';
import initTower, { forget, Tower } from './wasm/tower.js';

let core: Promise<{ module: WebAssembly.Module; memory: WebAssembly.Memory }> | undefined;
let tower: Promise<WebAssembly.Module> | undefined;
/** Counts the starts of the tower module: its objects belong to one start. */
let starts = 0;

/** The build of the core for this browser. Every address is written out, so that bundlers find the files. */
function coreUrl(): URL {
  switch (instructionSet()) {
    case 'relaxed':
      return new URL('./wasm/core-relaxed.wasm', import.meta.url);
    case 'simd128':
      return new URL('./wasm/core-simd128.wasm', import.meta.url);
    default:
      return new URL('./wasm/core-baseline.wasm', import.meta.url);
  }
}

/** The towers' module for this browser. That without SIMD is in the npm package alone. */
function towerUrl(): URL {
  if (instructionSet() === 'baseline') return new URL('./wasm/tower-baseline.wasm', import.meta.url);
  return new URL('./wasm/tower.wasm', import.meta.url);
}

/** The class of the core, loaded once. A failed load can be tried again. */
export async function loadCore(source: WasmSource = coreUrl()): Promise<typeof Core> {
  core ??= wasmOf(source)
    .then(async (module) => {
      const { memory } = await initCore({ module_or_path: module });
      return { module, memory };
    })
    .catch((error: unknown) => {
      core = undefined;
      throw error;
    });
  await core;
  return Core;
}

/** The core's module and its memory, once it is loaded. */
export function coreInstance(): Promise<{ module: WebAssembly.Module; memory: WebAssembly.Memory }> {
  if (!core) throw new Error('the core is not loaded');
  return core;
}

/** SHA-256 by the browser, several times faster than by the core, which does it where the page has no secure address. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle ? new Uint8Array(await subtle.digest('SHA-256', bytes)) : Core.sha256(bytes);
}

/** The tower's module, loaded and started once. */
export function loadTower(source: WasmSource = towerUrl()): Promise<WebAssembly.Module> {
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
    private readonly graphs: { user: Uint8Array; shapes: Uint32Array },
  ) {
    this.build();
  }

  private build(): Tower {
    if (!this.tower || this.start !== starts) {
      const { user, shapes } = this.graphs;
      const [dim = 0, len = 0, context = 0, slots = 0] = shapes;
      this.tower = this.guarded(() => new Tower(user, undefined, dim, len, context, slots));
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
