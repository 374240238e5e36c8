/** A module as gzip in base64, or the script of a worker. The build makes it. */
declare module 'inline:*' {
  const text: string;
  export default text;
}
/** Bytes of each module. The build fills them in. */
declare const MODULE_BYTES: Record<string, number>;
/** Names the modules of this build. The build fills it in. */
declare const MODULES_BUILD: string;
/** What the package takes from Node, whose types it does not need elsewhere. */
declare module 'node:fs/promises' {
  export function readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
}
