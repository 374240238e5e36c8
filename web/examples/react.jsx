// A page of React: bundle it with any bundler, into a page that has an element `#app`.
import { useSlate } from 'foretaste/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

function ForYou() {
  const load = { storage: 'indexeddb' };
  const explore = { policy: 'thompson' };
  const { items, status, fallback, reload, record, seen } = useSlate('/bundle/', { k: 5, explore }, { load });

  if (status === 'error') {
    return (
      <p role="alert">
        There are no recommendations today.{' '}
        <button type="button" onClick={reload}>
          Try again
        </button>
      </p>
    );
  }
  return (
    <section aria-busy={status === 'loading'} style={{ minHeight: '16rem' }}>
      <h2>{fallback ? 'Popular' : 'For you'}</h2>
      {status === 'empty' && <p>You have seen it all.</p>}
      <ul>
        {items.map((item) => (
          // The log gets the slate once its items were seen.
          <li key={item.id} ref={seen(item)}>
            {item.title}{' '}
            <button
              type="button"
              aria-label={`Like ${item.title}`}
              onClick={async () => {
                await record(item, 'like');
                reload();
              }}
            >
              Like
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

createRoot(document.querySelector('#app')).render(
  <StrictMode>
    <ForYou />
  </StrictMode>,
);
