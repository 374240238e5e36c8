/** The imports in the glue of wasm-bindgen: `        NAME: function`. */
const IN_GLUE = /^ {8}(__wb\w+)(?=: function)/gm;
/** The id of the section of imports, and the kind of a function among them. */
const [IMPORTS, FUNCTION] = [2, 0];

/**
 * A module and its glue with short names of the functions that the module imports. wasm-bindgen's names have hashes,
 * which do not compress: a tenth of the glue.
 */
export function withShortImports(wasm, glue) {
  const names = [...glue.matchAll(IN_GLUE)].map(([, name]) => name).sort();
  const short = new Map(names.map((name, i) => [name, `i${i.toString(36)}`]));
  return { wasm: renamed(wasm, short), glue: glue.replace(IN_GLUE, (_, name) => `        ${short.get(name)}`) };
}

/** The module with other names of the functions that it imports. */
function renamed(wasm, short) {
  let at = 8;
  /** Reads a number in LEB128. */
  const number = () => {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = wasm[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const text = () => {
    const length = number();
    at += length;
    return wasm.subarray(at - length, at).toString();
  };
  while (at < wasm.length) {
    const start = at;
    const [id, size] = [wasm[at++], number()];
    if (id !== IMPORTS) {
      at += size;
      continue;
    }
    const end = at + size;
    const body = [leb(number())];
    while (at < end) {
      const [module, name] = [text(), text()];
      if (wasm[at++] !== FUNCTION || !short.has(name)) throw new Error(`an import that is not in the glue: ${name}`);
      body.push(named(module), named(short.get(name)), Buffer.of(FUNCTION), leb(number()));
    }
    const bytes = Buffer.concat(body);
    return Buffer.concat([wasm.subarray(0, start), Buffer.of(IMPORTS), leb(bytes.length), bytes, wasm.subarray(at)]);
  }
  return wasm;
}

function leb(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function named(text) {
  return Buffer.concat([leb(Buffer.byteLength(text)), Buffer.from(text)]);
}
