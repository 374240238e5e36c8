// A worker of the page's own that uses the package.
import { load } from 'foretaste';
import { trial } from './trial.js';

self.onmessage = async ({ data: bundle }) => postMessage(await trial(load, bundle));
