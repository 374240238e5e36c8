import { ForetasteError, load, type Recommender, type Slate } from 'foretaste';
import { load as loadInline } from 'foretaste/inline';
import { load as loadSlim } from 'foretaste/slim';

export async function visit(bundle: URL): Promise<Slate> {
  const rec: Recommender = await load(bundle, { worker: 2, storage: 'indexeddb' });
  try {
    await rec.record({ item: '50', type: 'like' });
    return await rec.recommend({ k: 5, explore: { policy: 'thompson', seed: 7 } });
  } catch (error) {
    if (error instanceof ForetasteError) console.log(error.code);
    throw error;
  } finally {
    rec.dispose();
  }
}

export const others: (typeof load)[] = [loadInline, loadSlim];

// @ts-expect-error: no such policy
export const wrong = (rec: Recommender) => rec.recommend({ explore: { policy: 'hope' } });
