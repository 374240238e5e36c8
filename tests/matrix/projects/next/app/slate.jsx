'use client';

import { load } from 'foretaste';
import { useEffect, useState } from 'react';
import { ownTrial, trial } from '../trial.js';

export function Slate() {
  const [text, setText] = useState('');
  useEffect(() => {
    // StrictMode runs this twice in development: both visits run, and the second one is shown.
    let shown = true;
    const run = async () => {
      const bundle = new URL('/bundle/', document.baseURI).href;
      const result = await trial(load, bundle);
      const own = await ownTrial(new Worker(new URL('../own.js', import.meta.url), { type: 'module' }), bundle);
      if (shown) setText(JSON.stringify({ ...result, ...own }));
    };
    void run();
    return () => {
      shown = false;
    };
  }, []);
  return <pre id="result">{text}</pre>;
}
