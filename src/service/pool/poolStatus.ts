import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The workers of this installation, counted now. */
export function poolStatus(
  { pool }: Pick<ServiceDeps, 'pool'>,
  _principal: Principal,
): Promise<PoolStatus> {
  return pool.status();
}
