// Node opens a bundle from the disk.
import { pathToFileURL } from 'node:url';
import { load } from 'foretaste';
import { trial } from './trial.js';

console.log(`RESULT ${JSON.stringify(await trial(load, pathToFileURL('public/bundle/')))}`);
