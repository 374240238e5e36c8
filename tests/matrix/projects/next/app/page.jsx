// A server component that imports the package too.
import { load } from 'foretaste';
import { Slate } from './slate.jsx';

export default function Page() {
  return (
    <main data-load={typeof load}>
      <Slate />
    </main>
  );
}
