import type { VisibleStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import { type StatusDeps, statusFor } from './statusFor.ts';

/** The current numbers of workers. */
export function poolStatus(deps: StatusDeps, principal: Principal): Promise<VisibleStatus> {
  return statusFor(deps, principal);
}
