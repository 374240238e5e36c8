// Slates by the hooks: one from the page and one from a worker. Each waits for a click.
import { useRecommender, useSlate } from 'foretaste/react';
import { useEffect, useState } from 'react';
import { clicked } from './clicked.js';
import { begin, failed } from './trial.js';

const VISITS = { page: {}, worker: { worker: true } };

function Slate({ name, tell }) {
  const opened = useRecommender('/bundle/', VISITS[name]);
  const { recommender } = opened;
  const [begun, setBegun] = useState();
  useEffect(() => {
    if (recommender) begin(recommender).then(() => setBegun(recommender));
  }, [recommender]);

  const { items, slate, error, record, seen } = useSlate(begun, { k: 5 });
  const fault = opened.error ?? error;
  useEffect(() => {
    if (fault !== undefined) tell(name, failed(fault));
  }, [fault, name, tell]);

  const like = async (item) => {
    await record(item, 'like');
    tell(name, await clicked(begun, slate));
  };
  return (
    <ul id={name} className={slate ? 'ready' : 'loading'}>
      {items.map((item) => (
        <li key={item.id} ref={seen(item)}>
          <button type="button" className="link" onClick={() => like(item)}>
            {item.title}
          </button>
        </li>
      ))}
    </ul>
  );
}

export function Slates() {
  const [results, setResults] = useState({});
  const [tell] = useState(() => (name, result) => setResults((others) => ({ ...others, [name]: result })));
  const names = Object.keys(VISITS);
  return (
    <main>
      {names.map((name) => (
        <Slate key={name} name={name} tell={tell} />
      ))}
      <pre id="result">{names.every((name) => results[name]) && JSON.stringify(results)}</pre>
    </main>
  );
}
