import type { PoolStatus } from '../../domain/poolStatus.ts';
import { pullIterator } from '../output/pullIterator.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The status now, then whenever it differs from what was told last. A slow reader misses what came between, never the end. */
export function followPoolStatus(
  { pool }: Pick<ServiceDeps, 'pool'>,
  _principal: Principal,
): AsyncIterableIterator<PoolStatus> {
  let told = '';
  return pullIterator({
    read: async () => {
      const status = await pool.status();
      const text = JSON.stringify(status);
      if (text === told) return { items: [], isEnd: false };
      told = text;
      return { items: [status], isEnd: false };
    },
    onWake: (wake) => pool.onChange(wake),
  });
}
