import type { FileCache } from './cache.js';
import { ForetasteError } from './errors.js';
import { type BundleFile, fetchFile, hostOr, isUnreached, readAll } from './fetch.js';
import { sha256 } from './modules.js';
import type { Info } from './types.js';
import { retried } from './waiting.js';

const PATH = 'manifest.json';
const MAX_MANIFEST_BYTES = 64 << 20;

/** A manifest as it arrived. `kept`: the device kept it, and the host cannot be reached. */
export type Manifest = { bytes: Uint8Array<ArrayBuffer>; kept: boolean };

/** The manifests of the bundle in a folder: a host may change it at any time, and caches may have an old one. */
export class Manifests {
  constructor(
    readonly folder: URL,
    private readonly opening: Promise<FileCache>,
    /** Roles of the files that a visit needs. */
    private readonly roles: string[],
    private readonly signal: AbortSignal,
  ) {}

  /**
   * The manifest. Its files are looked up in the cache at once; none is fetched from the host before the core has
   * checked the manifest.
   */
  async fetch(cache: RequestCache = 'default'): Promise<Manifest> {
    const ask = async () => {
      const response = await fetchFile(this.folder, PATH, { signal: this.signal, cache });
      return { bytes: await readAll(response, PATH, MAX_MANIFEST_BYTES), kept: false };
    };
    const manifest = await retried(this.signal, () => hostOr(ask(), () => this.kept()));
    void this.opening.then((files) => files.prefetch(this.needed(manifest))).catch(() => {});
    return manifest;
  }

  /** The manifest of an earlier visit, if all files that a visit needs are kept. */
  private async kept(): Promise<Manifest | undefined> {
    const cache = await this.opening;
    const response = await cache.manifest();
    const manifest = response && { bytes: await readAll(response, PATH, MAX_MANIFEST_BYTES), kept: true };
    return manifest && (await cache.has(this.needed(manifest))) ? manifest : undefined;
  }

  private needed({ bytes }: Manifest): BundleFile[] {
    return parsed(bytes).files.filter((file) => this.roles.includes(file.role));
  }

  /**
   * The manifest to go on with after an error: the host's present one if a file is gone or is of another version, and
   * that of an earlier visit if the host is gone. Undefined if there is no other.
   */
  async after(error: unknown, { bytes, kept }: Manifest): Promise<Manifest | undefined> {
    const { code, part = '' } = error instanceof ForetasteError ? error : ({} as Partial<ForetasteError>);
    if (part !== PATH && !parsed(bytes).files.some(({ path }) => path === part)) return undefined;
    if (isUnreached(error)) {
      const earlier = kept ? undefined : await this.kept();
      return earlier && !isEqual(earlier.bytes, bytes) ? earlier : undefined;
    }
    const isOther = code === 'hash' || code === 'length';
    if (!isOther && code !== 'missing') return undefined;
    const now = await this.fetch('reload');
    if (!isEqual(now.bytes, bytes)) return now;
    // The manifest is the right one, so a cache on the way may have the wrong file.
    const { stale } = await this.opening;
    if (!isOther || part === PATH || stale.has(part)) return undefined;
    stale.add(part);
    return now;
  }
}

/** Whether two files are the same. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** What a checked manifest says. */
export function parsed(manifest: Uint8Array): Info & { files: BundleFile[] } {
  return JSON.parse(new TextDecoder().decode(manifest)) as Info & { files: BundleFile[] };
}

/** Checks the SHA-256 that the page asks for. The core must run. */
export async function checkIntegrity(manifest: Uint8Array<ArrayBuffer>, integrity: string | undefined): Promise<void> {
  if (integrity === undefined) return;
  const got = `sha256-${btoa(String.fromCharCode(...(await sha256(manifest))))}`;
  if (got !== integrity) throw new ForetasteError('hash', `${PATH}: expected ${integrity}, got ${got}`, PATH);
}
