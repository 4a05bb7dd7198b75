import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** What `/metrics` says of the pool. It says more of the gateway, so only those who may know all of that call it. */
export function metrics(
  { pool }: Pick<ServiceDeps, 'pool'>,
  _principal: Principal,
): Promise<PoolStatus> {
  return pool.status();
}
