import { ForetasteError } from './errors.js';

/**
 * A value as JSON text, the form in which the core takes every object of a page. `part` names the value in errors.
 *
 * JSON turns NaN and infinite numbers into `null`. In an event `null` means "missing", so there they are an error; in a
 * request the core refuses them itself.
 */
export function toJson(value: unknown, part: 'request' | 'event' | 'events'): string {
  const checked = (key: string, member: unknown) => {
    if (typeof member !== 'number' || Number.isFinite(member) || part === 'request') return member;
    throw new ForetasteError('range', `${part}/${key}: expected a finite number, got ${member}`, `${part}/${key}`);
  };
  try {
    return JSON.stringify(value, checked) ?? 'null';
  } catch (error) {
    if (error instanceof ForetasteError) throw error;
    throw new ForetasteError('argument', `${part}: ${String(error)}`, part, { cause: error });
  }
}
