// Takes over what the server has rendered.
import { hydrateRoot } from 'react-dom/client';
import { List } from './list.jsx';

const initial = JSON.parse(document.querySelector('#initial').textContent);
hydrateRoot(document.querySelector('#app'), <List initial={initial} />);
