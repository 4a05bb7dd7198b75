import type { PoolStatus } from '../../domain/poolStatus.ts';
import { pullIterator } from '../output/pullIterator.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/**
 * The status now, and then each time it has changed. A slow reader misses intermediate states, but never the latest.
 */
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
