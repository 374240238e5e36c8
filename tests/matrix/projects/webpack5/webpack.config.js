import Html from 'html-webpack-plugin';

export default {
  mode: 'production',
  entry: './main.js',
  plugins: [new Html({ template: './page.html' })],
  // webpack warns of every file over 244 KiB, and the modules are larger.
  performance: { assetFilter: (name) => !/\.(wasm|map)$/.test(name) },
};
