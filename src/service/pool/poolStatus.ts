import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import { type StatusDeps, statusFor } from './statusFor.ts';

/** The current numbers of workers. */
export function poolStatus(deps: StatusDeps, principal: Principal): Promise<PoolStatus> {
  return statusFor(deps, principal);
}
