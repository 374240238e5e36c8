import { ForetasteError } from './errors.js';
import { readAll } from './fetch.js';
import type { BundleFile } from './cache.js';

/** Between the name of the file that a delta makes and that of the file it starts from. */
const FROM = '.from.';
/** Where a piece begins that the old file does not have. */
const NOWHERE = 2 ** 32 - 1;

/** The delta that makes a file, and the file that it starts from. */
export function deltasOf(file: BundleFile, all: BundleFile[]): { delta: BundleFile; from: string }[] {
  const start = file.path + FROM;
  return all.filter(({ role, path }) => role === 'delta' && path.startsWith(start)).map((delta) => ({ delta, from: delta.path.slice(start.length) }));
}

/** Makes a file of `bytes` bytes from the old one; whoever uses it checks its hash. The form is that of `bundle_format.md`. */
export async function patched(old: Response, answer: Response, { path }: BundleFile, bytes: number): Promise<Response> {
  const raw = await readAll(new Response(answer.body?.pipeThrough(new DecompressionStream('gzip'))), path, 2 * bytes + (1 << 20));
  const base = new Uint8Array(await old.arrayBuffer());
  const view = new DataView(raw.buffer);
  const pieces = raw.length < 4 ? Infinity : view.getUint32(0, true);
  if (4 + 8 * pieces + bytes !== raw.length) throw new ForetasteError('malformed', `${path}: no delta to ${bytes} bytes`, path);
  const made = raw.subarray(4 + 8 * pieces);
  for (let piece = 0, at = 0; piece < pieces; piece++) {
    const from = view.getUint32(4 + 8 * piece, true);
    const end = Math.min(at + view.getUint32(8 + 8 * piece, true), bytes);
    // Bytes wrap around, and what lies outside the old file is nothing.
    if (from !== NOWHERE) for (let i = at; i < end; i++) made[i]! += base[from + i - at] ?? 0;
    at = end;
  }
  return new Response(made);
}
