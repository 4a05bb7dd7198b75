import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The current numbers of workers of this installation. */
export function poolStatus(
  { pool }: Pick<ServiceDeps, 'pool'>,
  _principal: Principal,
): Promise<PoolStatus> {
  return pool.status();
}
