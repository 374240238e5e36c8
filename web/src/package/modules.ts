import { compileWasm } from './compile.js';
import { disposed, type ErrorCode, ForetasteError, known, said } from './errors.js';
import { instructionSet } from './instructions.js';
import type { WasmSource } from './types.js';
import { Core, forget as forgetCore, start as startCore } from './wasm/core.js';
import { forget as forgetTower, start as startTower, Tower } from './wasm/tower.js';

/** One of the two WASM modules. The page has one instance of it, and a new one after a trap. */
class Module {
  private compiled: Promise<WebAssembly.Module> | undefined;
  private started: Promise<{ module: WebAssembly.Module; memory: WebAssembly.Memory }> | undefined;
  /** Whether an instance runs. */
  private runs = false;
  /** Number of the instance. Objects of an earlier one are gone. */
  instance = 0;

  constructor(
    private readonly name: string,
    /** The code of a trap. */
    private readonly code: ErrorCode,
    private readonly compile: (source?: WasmSource) => Promise<WebAssembly.Module>,
    /** Makes an instance of the module for its glue. */
    private readonly instantiate: (module: WebAssembly.Module) => Promise<{ memory: WebAssembly.Memory }>,
    /** Makes the glue drop the instance. */
    private readonly forget: () => void,
  ) {}

  /** Loads and starts the module, unless it runs. What failed can be tried again. */
  start(source?: WasmSource): Promise<{ module: WebAssembly.Module; memory: WebAssembly.Memory }> {
    this.compiled ??= this.compile(source).catch((error: unknown) => {
      this.compiled = undefined;
      throw error;
    });
    this.started ??= this.compiled
      .then(async (module) => {
        const { memory } = await this.instantiate(module);
        this.runs = true;
        return { module, memory };
      })
      .catch((error: unknown) => {
        this.started = undefined;
        throw error;
      });
    return this.started;
  }

  /** Whether the objects of an instance are still there. */
  has(instance: number): boolean {
    return this.runs && this.instance === instance;
  }

  /**
   * Makes a call into an instance. Nobody knows what its memory holds after a trap, so the instance is dropped.
   *
   * @throws what the call says is wrong, and the code of a trap for anything else.
   */
  call<T>(instance: number, work: () => T): T {
    if (!this.has(instance)) throw this.error('was started again');
    try {
      return work();
    } catch (error) {
      const fault = known(error);
      if (fault) throw fault;
      this.runs = false;
      this.started = undefined;
      this.instance += 1;
      this.forget();
      throw this.error(`failed and is started again: ${said(error)}`, error);
    }
  }

  private error(text: string, cause?: unknown): ForetasteError {
    return new ForetasteError(this.code, `the ${this.name} ${text}`, this.name, { cause });
  }
}

/** An object in the memory of a module. After a trap it is gone, and nothing of it may be touched or freed. */
export class Handle<T extends { free(): void }> {
  private readonly instance: number;
  private readonly object: T;
  /** Whether a call of this object trapped. */
  trapped = false;
  private freed = false;

  constructor(
    private readonly module: Module,
    make: () => T,
  ) {
    this.instance = module.instance;
    this.object = module.call(this.instance, make);
  }

  /** Whether the object is there. */
  get alive(): boolean {
    return !this.freed && this.module.has(this.instance);
  }

  /** Makes a call; see `Module.call`. */
  call<R>(work: (object: T) => R): R {
    const there = this.alive;
    try {
      return this.module.call(this.instance, () => work(this.object));
    } finally {
      this.trapped ||= there && !this.alive;
    }
  }

  /** Frees the object, if it is there. */
  free(): void {
    if (!this.alive) return;
    try {
      this.call((object) => object.free());
    } catch {
      // A trap has dropped the whole instance, and this object with it.
    }
    this.freed = true;
  }
}

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

/** The core, one instance for all bundles. */
export const coreModule = new Module('core', 'trap', (source = coreUrl()) => compileWasm(source), startCore, forgetCore);
/** The tower's module, one instance for all bundles. */
export const towerModule = new Module(
  'tower',
  'model',
  (source = towerUrl()) => compileWasm(source, 'low'),
  startTower,
  forgetTower,
);

/**
 * SHA-256 by the browser, or by the core, which takes several times as long, where the page's address is not secure.
 * The core must run.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle) return new Uint8Array(await subtle.digest('SHA-256', bytes));
  return coreModule.call(coreModule.instance, () => Core.sha256(bytes));
}

/**
 * The core of a recommender. The first call opens the bundle, and so does the first one after a trap; other calls wait
 * until that is done.
 */
export class LastingCore {
  private handle: Handle<Core> | undefined;
  private opening: Promise<void> | undefined;
  private ended = false;

  constructor(
    /** Opens the bundle, with all that the visitor did. */
    private readonly open: () => Promise<Handle<Core>>,
  ) {}

  /** Makes a call: within this one if the core is there. */
  async use<T>(work: (core: Core) => T): Promise<T> {
    for (;;) {
      this.check();
      if (this.handle?.alive) return this.handle.call(work);
      this.opening ??= this.opened().finally(() => (this.opening = undefined));
      // `dispose` ends the fetches too: then `check` says so.
      await this.opening.catch((error: unknown) => {
        this.check();
        throw error;
      });
    }
  }

  private async opened(): Promise<void> {
    this.handle = await this.open();
    if (this.ended) this.handle.free();
  }

  /** @throws `disposed` */
  check(): void {
    if (this.ended) throw disposed();
  }

  dispose(): void {
    this.ended = true;
    this.handle?.free();
  }
}

/** An input of a graph. */
export type GraphInput = { shape: number[]; data: Float32Array | BigInt64Array };

/** The user tower of one bundle. A trap fails one run: `ready` then starts the module and builds the tower again. */
export class Towers {
  private tower: Handle<Tower>;
  private ended = false;

  /** The module must run. */
  constructor(private readonly graphs: { user: Uint8Array; shapes: number[] }) {
    this.tower = this.build();
  }

  private build(): Handle<Tower> {
    const { user, shapes } = this.graphs;
    const [dim = 0, len = 0, context = 0, item = 0] = shapes;
    return new Handle(towerModule, () => new Tower(user, undefined, dim, len, context, item));
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
