import { toJson } from './json.js';
import type { Store } from './store.js';
import type { Core } from './wasm/core.js';

/** Loads events and log of a store into a core. Resolves to the number of log lines that the core took. */
export async function restore(core: Core, store: Store): Promise<number> {
  const taken = restoreLines(core, await store.lines());
  await restoreEvents(core, store);
  return taken;
}

/** Loads the events of a store into a core. Events that the core cannot read stay in the store untouched. */
export async function restoreEvents(core: Core, store: Store): Promise<void> {
  const events = await store.events();
  warnOnError(() => core.importProfile(toJson(events, 'events')));
}

/**
 * Loads log lines into a core. It gets only the fields that later slates and assignments need. Returns the number of
 * lines that the core took; lines that it cannot read are skipped.
 */
export function restoreLines(core: Core, lines: string[]): number {
  let taken = 0;
  for (const line of lines) {
    warnOnError(() => {
      const { type, item, slots, experiment, arm, unit } = JSON.parse(line) as Record<string, string> & {
        slots?: { item: string }[];
      };
      // A line with an item is an event, whatever its type says.
      const [kind, texts] =
        item !== undefined ? ['event', [item]] : [type, slots?.map((slot) => slot.item) ?? [experiment, arm, unit]];
      core.restore(kind as string, texts as string[]);
      taken += 1;
    });
  }
  return taken;
}

function warnOnError(read: () => void): void {
  try {
    read();
  } catch (error) {
    console.warn('foretaste: what is kept on this device cannot be read:', error);
  }
}
