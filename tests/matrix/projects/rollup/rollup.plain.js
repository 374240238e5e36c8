import { nodeResolve } from '@rollup/plugin-node-resolve';

export default {
  input: ['main.js', 'own.js'],
  output: { dir: 'dist', format: 'es', chunkFileNames: '[name].js' },
  plugins: [nodeResolve({ browser: true })],
};
