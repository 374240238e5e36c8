// Checks `use.ts` with two compilers and every way to resolve a package. Declarations of the package are checked too.
import { spawnSync } from 'node:child_process';

const STRICT = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--lib', 'es2022,dom'];
const NEW = [
  ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
];
const COMPILERS = {
  typescript: NEW,
  typescript5: [...NEW, ['--module', 'esnext', '--moduleResolution', 'node10']],
};
for (const [name, ways] of Object.entries(COMPILERS)) {
  for (const way of ways) {
    const { status, stdout, stderr } = spawnSync('node', [`node_modules/${name}/bin/tsc`, ...STRICT, ...way, 'use.ts'], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      console.log(`${name} ${way.join(' ')}: ${stdout}${stderr}`);
      process.exit(1);
    }
  }
}
console.log('RESULT {}');
