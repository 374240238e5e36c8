import type { FileCache } from './cache.js';
import { ForetasteError } from './errors.js';
import { type BundleFile, fetchFile, readAll } from './fetch.js';
import { sha256 } from './modules.js';
import type { Info } from './types.js';

const MAX_MANIFEST_BYTES = 64 << 20;

/**
 * The bytes of the manifest. Its files are looked up in the cache at once; none is fetched from the host before the
 * core has checked the manifest.
 */
export async function fetchManifest(
  folder: URL,
  opening: Promise<FileCache>,
  roles: string[],
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetchFile(folder, 'manifest.json', { signal });
  const manifest = await readAll(response, 'manifest.json', MAX_MANIFEST_BYTES);
  void opening
    .then((cache) => cache.prefetch(parsed(manifest).files.filter((file) => roles.includes(file.role))))
    .catch(() => {});
  return manifest;
}

/** What a checked manifest says. */
export function parsed(manifest: Uint8Array): Info & { files: BundleFile[] } {
  return JSON.parse(new TextDecoder().decode(manifest)) as Info & { files: BundleFile[] };
}

/** Checks the SHA-256 that the page asks for. The core must run. */
export async function checkIntegrity(manifest: Uint8Array<ArrayBuffer>, integrity: string | undefined): Promise<void> {
  if (integrity === undefined) return;
  const got = `sha256-${btoa(String.fromCharCode(...(await sha256(manifest))))}`;
  if (got !== integrity) throw new ForetasteError('hash', `manifest.json: expected ${integrity}, got ${got}`, 'manifest.json');
}
