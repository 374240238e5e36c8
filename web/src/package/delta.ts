import { ForetasteError } from './errors.js';
import { type BundleFile, readAll } from './fetch.js';

/** In the name of a delta: between the file that it makes and the file that it starts from. */
const FROM = '.from.';
/** The start of a piece that the old file does not have. */
const NOWHERE = 2 ** 32 - 1;
/** Bytes of the number of pieces, and of each piece's three numbers. */
const COUNT_BYTES = 4;
const PIECE_BYTES = 12;

/** The deltas in `all` that make a file, each with the name of the old file that it starts from. */
export function deltasOf(file: BundleFile, all: BundleFile[]): { delta: BundleFile; from: string }[] {
  const start = file.path + FROM;
  return all
    .filter(({ role, path }) => role === 'delta' && path.startsWith(start))
    .map((delta) => ({ delta, from: delta.path.slice(start.length) }));
}

/**
 * Makes a file of `bytes` bytes from the old file and a delta in the form of `bundle_format.md`. The caller checks the
 * hash of the result.
 */
export async function patch(old: Response, delta: Response, { path }: BundleFile, bytes: number): Promise<Response> {
  const unzipped = new Response(delta.body?.pipeThrough(new DecompressionStream('gzip')));
  const raw = await readAll(unzipped, path, 2 * bytes + (1 << 20));
  const base = new Uint8Array(await old.arrayBuffer());
  const view = new DataView(raw.buffer);
  const pieces = raw.length < COUNT_BYTES ? Infinity : view.getUint32(0, true);
  const head = COUNT_BYTES + PIECE_BYTES * pieces;
  if (head + bytes !== raw.length) throw new ForetasteError('malformed', `${path}: no delta to ${bytes} bytes`, path);
  const made = new Uint8Array(bytes);
  for (let piece = 0, at = 0, next = head; piece < pieces; piece++) {
    const number = (place: number) => view.getUint32(COUNT_BYTES + PIECE_BYTES * piece + 4 * place, true);
    const [from, length, width] = [number(0), number(1), number(2)];
    const part = made.subarray(at, at + length);
    at += length;
    // The differences of a piece are stored byte plane by byte plane.
    for (let plane = 0; plane < width && plane < part.length; plane++) {
      for (let i = plane; i < part.length; i += width) part[i] = raw[next++] ?? 0;
    }
    if (from === NOWHERE) continue;
    for (let i = 0, carry = 0; i < part.length; i++) {
      // Bytes outside the old file count as zero.
      const sum = (part[i] ?? 0) + (base[from + i] ?? 0) + carry;
      part[i] = sum;
      carry = width > 1 ? sum >> 8 : 0;
    }
  }
  return new Response(made);
}
