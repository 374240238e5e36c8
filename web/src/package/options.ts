import { checkBoolean, kindOf, members, refused } from './arguments.js';
import { said } from './errors.js';
import type { Consent, LoadOptions } from './types.js';

/** Most workers of one catalog. */
const MAX_WORKERS = 64;

/** The types of some options. */
const TYPES = {
  onProgress: 'function',
  cache: 'boolean',
  integrity: 'string',
  maxBytes: 'number',
  namespace: 'string',
  tower: 'boolean',
  wasm: 'object',
  signal: 'object',
  consent: 'object',
} as const;
/** The names of all options. */
const NAMES = [...Object.keys(TYPES), 'worker', 'storage'];

/** A checked copy of the options. */
export function optionsOf(options: LoadOptions): LoadOptions {
  const given = members(options, 'options') as LoadOptions;
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name)) throw refused(`options.${name}`, `no such option; there are ${NAMES.sort().join(', ')}`);
  }
  for (const [name, type] of Object.entries(TYPES)) {
    const value: unknown = given[name as keyof typeof TYPES];
    if (value !== undefined && (typeof value !== type || value === null)) {
      throw refused(`options.${name}`, `expected a ${type}, got ${kindOf(value)}`);
    }
  }
  for (const name of ['core', 'tower'] as const) {
    const source: unknown = given.wasm?.[name];
    const isSource = typeof source === 'string' || (typeof source === 'object' && source !== null);
    if (source !== undefined && !isSource)
      throw refused(`options.wasm.${name}`, `expected a module or its address, got ${said(source)}`);
  }
  const { worker = false, maxBytes = 0, storage = 'memory' } = given;
  if (typeof worker !== 'boolean' && !(Number.isInteger(worker) && worker > 0 && worker <= MAX_WORKERS)) {
    throw refused('options.worker', `expected true, false or 1 to ${MAX_WORKERS}, got ${said(worker)}`, 'range');
  }
  if (!(maxBytes >= 0)) throw refused('options.maxBytes', `expected 0 or more, got ${maxBytes}`, 'range');
  if (storage !== 'memory' && storage !== 'indexeddb') {
    throw refused('options.storage', `expected memory or indexeddb, got ${said(storage)}`);
  }
  if (given.consent) given.consent = consentOf(given.consent, 'options.consent');
  return given;
}

/** A checked copy of what the visitor allows, without what is not said. */
export function consentOf(consent: unknown, part: string): Consent {
  const given = members(consent, part);
  for (const [name, value] of Object.entries(given)) {
    if (name !== 'storage' && name !== 'profiling') {
      throw refused(`${part}.${name}`, 'no such consent; there are profiling, storage');
    }
    if (value === undefined) delete given[name];
    else checkBoolean(value, `${part}.${name}`);
  }
  return given;
}

/** What a change of consent takes back; undefined if nothing. */
export function withdrawals(change: Consent): Consent | undefined {
  const taken = Object.entries(change).filter(([, allowed]) => !allowed);
  return taken.length > 0 ? Object.fromEntries(taken) : undefined;
}

/** The address of the bundle, with a `/` at its end. Relative ones start from the page, in a worker from its script. */
export function folderOf(url: string | URL): URL {
  if (typeof url !== 'string' && typeof url?.href !== 'string') throw refused('url', `expected an address, got ${typeof url}`);
  try {
    const folder = new URL(url, base());
    if (!folder.pathname.endsWith('/')) folder.pathname += '/';
    // An address such as `data:,x` is no folder.
    return new URL('.', folder);
  } catch (error) {
    throw refused('url', `\`${said(url)}\` is no address`, 'argument', error);
  }
}

/** The address that relative ones start from; undefined in Node. */
export function base(): string | undefined {
  if (typeof document !== 'undefined') return document.baseURI;
  const { href, origin } = globalThis.location ?? {};
  // A worker whose script is a blob: nothing is relative to that.
  return href?.startsWith('http') ? href : origin?.startsWith('http') ? origin : undefined;
}
