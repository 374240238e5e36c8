import { ForetasteError } from './errors.js';
import { readAll, type BundleFile } from './fetch.js';

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
  if (4 + 12 * pieces + bytes !== raw.length) throw new ForetasteError('malformed', `${path}: no delta to ${bytes} bytes`, path);
  const made = new Uint8Array(bytes);
  for (let piece = 0, at = 0, next = 4 + 12 * pieces; piece < pieces; piece++) {
    const [from, len, width] = [0, 4, 8].map((word) => view.getUint32(4 + 12 * piece + word, true)) as [number, number, number];
    const own = made.subarray(at, (at += len));
    for (let plane = 0; plane < width && plane < own.length; plane++) for (let i = plane; i < own.length; i += width) own[i] = raw[next++] ?? 0;
    if (from === NOWHERE) continue;
    for (let i = 0, carry = 0; i < own.length; i++) {
      // What lies outside the old file is nothing.
      const sum = own[i]! + (base[from + i] ?? 0) + carry;
      own[i] = sum;
      carry = width > 1 ? sum >> 8 : 0;
    }
  }
  return new Response(made);
}
