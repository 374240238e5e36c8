import { compileWasm } from './compile.js';
import { ForetasteError, typed } from './errors.js';
import { instructionSet } from './instructions.js';
import type { WasmSource } from './types.js';
import initCore, { Core } from './wasm/core.js';
import initTower, { forget, Tower } from './wasm/tower.js';

/** The core's module and the memory of its one instance. */
export type CoreInstance = { module: WebAssembly.Module; memory: WebAssembly.Memory };

let core: Promise<CoreInstance> | undefined;
let tower: Promise<WebAssembly.Module> | undefined;
/** How often the tower's module was started. A `Tower` belongs to one start. */
let starts = 0;

/** The build of the core for this browser. Each address is spelt out so that bundlers find the files. */
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

/** The build of the tower's module for this browser. Only the npm package has the build without SIMD. */
function towerUrl(): URL {
  if (instructionSet() === 'baseline') return new URL('./wasm/tower-baseline.wasm', import.meta.url);
  return new URL('./wasm/tower.wasm', import.meta.url);
}

/** Loads and starts the core once for all bundles, and resolves to its class. A load that failed can be tried again. */
export async function loadCore(source: WasmSource = coreUrl()): Promise<typeof Core> {
  core ??= compileWasm(source)
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

/**
 * The core's module and memory.
 *
 * @throws if `loadCore` was not called.
 */
export function coreInstance(): Promise<CoreInstance> {
  if (!core) throw new Error('the core is not loaded');
  return core;
}

/**
 * SHA-256 by the browser, or by the core, which takes several times as long, where the page's address is not secure.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  return subtle ? new Uint8Array(await subtle.digest('SHA-256', bytes)) : Core.sha256(bytes);
}

/** Loads and starts the tower's module once for all bundles. A load that failed can be tried again. */
export function loadTower(source: WasmSource = towerUrl()): Promise<WebAssembly.Module> {
  tower ??= compileWasm(source, 'low')
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
export type GraphInput = { shape: number[]; data: Float32Array | BigInt64Array };

/**
 * The user tower of one bundle. If the module traps, only that run fails: the module is started again from its compiled
 * code, and the next run builds the tower again.
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
      const [dim = 0, len = 0, context = 0, item = 0] = shapes;
      this.tower = this.guarded(() => new Tower(user, undefined, dim, len, context, item));
      this.start = starts;
    }
    return this.tower;
  }

  /** Runs a graph. Synchronous, because the core calls it in the middle of its own work. */
  run(graph: string, inputs: GraphInput[]): Float32Array[] {
    const tower = this.build();
    return this.guarded(() => tower.run(graph, inputs) as Float32Array[]);
  }

  /** Waits until a restart after a trap is done. */
  async restarted(): Promise<void> {
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
