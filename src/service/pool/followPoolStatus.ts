import type { VisibleStatus } from '../../domain/poolStatus.ts';
import { pullIterator } from '../output/sharedOutput.ts';
import type { Principal } from '../principal.ts';
import { type StatusDeps, statusFor } from './statusFor.ts';

/**
 * The status that the principal may see: the present one, and then a new one after each change. A slow reader misses
 * intermediate states, but never the latest.
 */
export function followPoolStatus(
  deps: StatusDeps,
  principal: Principal,
): AsyncIterableIterator<VisibleStatus> {
  let told = '';
  return pullIterator({
    read: async () => {
      const status = await statusFor(deps, principal);
      const text = JSON.stringify(status);
      if (text === told) return { items: [], isEnd: false };
      told = text;
      return { items: [status], isEnd: false };
    },
    onWake: (wake) => deps.pool.onChange(wake),
  });
}
