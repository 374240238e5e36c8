import { compileWasm, type FindModule } from './compile.js';
import { disposed, type ErrorCode, ForetasteError, known, said } from './errors.js';
import type { WasmSource } from './types.js';
import { Core, forget, start } from './wasm/core.js';

/** Compiles to nothing: a module that was loaded before needs no source. */
const NO_SOURCE = new Uint8Array();

/** One of the two WASM modules. The page has one instance of it, and a new one after a trap. */
export class Module {
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
    private readonly priority: RequestPriority,
    /** Makes an instance of the module for its glue. */
    private readonly instantiate: (module: WebAssembly.Module) => Promise<{ memory: WebAssembly.Memory }>,
    /** Makes the glue drop the instance. */
    private readonly forget: () => void,
  ) {}

  /**
   * Starts the module, unless it runs, and before that loads it, unless it was loaded. What failed can be tried again.
   */
  start(source: WasmSource = NO_SOURCE, find?: FindModule): Promise<{ module: WebAssembly.Module; memory: WebAssembly.Memory }> {
    this.compiled ??= compileWasm(source, this.priority, find).catch((error: unknown) => {
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
    // A call of a freed object would trap.
    if (this.freed) throw disposed();
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

/** The core, one instance for all bundles. */
export const coreModule = new Module('core', 'trap', 'auto', start, forget);

/**
 * SHA-256 by the browser; undefined where it computes none, as on pages whose address is not secure. The bytes may move
 * meanwhile: a digest is of the bytes that are there when it is asked for.
 */
export async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  const hash = await subtle?.digest('SHA-256', bytes).catch(() => undefined);
  return hash && new Uint8Array(hash);
}

/** SHA-256 by the browser, or by the core, which must run and takes several times as long. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return (await digest(bytes)) ?? coreModule.call(coreModule.instance, () => Core.sha256(bytes));
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

  /** The open core, to tell it from a later one; undefined while none is there. */
  get opened(): object | undefined {
    return this.handle?.alive ? this.handle : undefined;
  }

  /** Has the next call open the bundle again: there is another version of it. */
  renew(): void {
    this.handle?.free();
  }

  /** Makes a call: within this one if the core is there. */
  async use<T>(work: (core: Core) => T): Promise<T> {
    for (;;) {
      this.check();
      if (this.handle?.alive) return this.handle.call(work);
      this.opening ??= this.reopened().finally(() => (this.opening = undefined));
      // `dispose` ends the fetches too: then `check` says so.
      await this.opening.catch((error: unknown) => {
        this.check();
        throw error;
      });
    }
  }

  private async reopened(): Promise<void> {
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
