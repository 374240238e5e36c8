import type { BundleFile } from './fetch.js';
import type { Fetcher, Tell } from './fetcher.js';
import { coreModule, Handle } from './modules.js';
import { Core } from './wasm/core.js';

/** Roles of the files that the core is opened with. */
export const CORE_ROLES = ['items', 'catalog'];
/** Roles of the files that the core gets with the tower: neighbours, and the values of items that a ranker reads. */
export const LATER_ROLES = ['neighbours', 'features'];

/** What the core says of a manifest. */
export type Plan = { files: BundleFile[]; shapes: number[]; memory: number; policies: string[] };

/** Opens one bundle in a core: once to load it, and again after each trap. */
export class Opener {
  readonly plan: Plan;
  /** The core that has read the manifest, for the first open. */
  private fresh: Handle<Core> | undefined;
  /** Roles of the files that the next core is opened with. */
  private roles = CORE_ROLES;

  /** The core's module must run. */
  constructor(
    private readonly manifest: Uint8Array,
    private readonly maxBytes: number | undefined,
  ) {
    this.fresh = this.newCore();
    this.plan = this.fresh.call((core) => core.plan() as Plan);
  }

  private newCore(): Handle<Core> {
    return new Handle(coreModule, () => new Core(this.manifest, this.maxBytes));
  }

  /** The files with some roles. */
  files(roles: string[]): BundleFile[] {
    return this.plan.files.filter((file) => roles.includes(file.role));
  }

  /**
   * The bundle in a core that `prepare` has made ready. Starts over where the trap of another recommender takes the
   * core meanwhile.
   */
  async open(fetcher: Fetcher, tell: Tell, prepare: (core: Handle<Core>) => Promise<void>): Promise<Handle<Core>> {
    for (;;) {
      const { memory } = await coreModule.start();
      const core = this.fresh ?? this.newCore();
      this.fresh = undefined;
      try {
        await Promise.all(this.files(this.roles).map((file) => fetcher.intoCore(core, memory, file, tell)));
        core.call((core) => core.open());
        await prepare(core);
        return core;
      } catch (error) {
        const disturbed = !core.alive && !core.trapped;
        core.free();
        if (!disturbed) throw error;
      }
    }
  }

  /** Adds these files to an open core. A core that is opened later has them from the start. */
  async addLater(core: Handle<Core>, fetcher: Fetcher): Promise<void> {
    const files = this.files(LATER_ROLES);
    if (files.length === 0) return;
    this.roles = [...CORE_ROLES, ...LATER_ROLES];
    try {
      const { memory } = await coreModule.start();
      await Promise.all(files.map((file) => fetcher.intoCore(core, memory, file, () => {}, 'low')));
      core.call((core) => core.openNeighbours());
    } catch (error) {
      // After a trap the next core brings them.
      if (!core.alive) return;
      this.roles = CORE_ROLES;
      throw error;
    }
  }
}
