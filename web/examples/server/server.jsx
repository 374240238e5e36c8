// Renders popular items on the server. The page then hydrates, and puts the visitor's own slate in their place.
import { load } from 'foretaste';
import { renderToString } from 'react-dom/server';
import { List } from './list.jsx';

/** The page's markup. `bundle` is the address of the bundle's folder, here a `file:` address. */
export async function page(bundle) {
  const rec = await load(bundle, { tower: false });
  const initial = await rec.find('', { k: 5 });
  rec.dispose();
  // Inside a script only `<` could end it.
  const data = JSON.stringify(initial).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Rendered on the server</title>
  </head>
  <body>
    <main><h1>Films</h1><div id="app">${renderToString(<List initial={initial} />)}</div></main>
    <script id="initial" type="application/json">${data}</script>
    <script type="module" src="/client.js"></script>
  </body>
</html>`;
}
