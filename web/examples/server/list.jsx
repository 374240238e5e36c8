// The part that server and page both render.
import { useSlate } from 'foretaste/react';

export function List({ initial }) {
  const { items, status, seen, record } = useSlate('/bundle/', { k: 5 }, { initial });
  return (
    <section aria-busy={status === 'loading'}>
      <h2>For you</h2>
      <ul>
        {items.map((item) => (
          <li key={item.id} ref={seen(item)}>
            <button type="button" disabled={status === 'loading'} onClick={() => record(item, 'like')}>
              {item.title}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
