import 'foretaste/element';
import { follow } from './slates.js';

follow().then((results) => {
  document.querySelector('#result').textContent = JSON.stringify(results);
});
