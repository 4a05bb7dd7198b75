import { DomainError } from '../../domain/errors.ts';
import { QuotaError } from '../../domain/quota.ts';
import type { Principal } from '../principal.ts';

/** What a call gives. The holder of a token for some users is not told how much all others of the tenant use. */
export function hideTenantUse<T>(principal: Principal, outcome: T): T {
  if (principal.role !== 'USER' || !(outcome instanceof Promise)) return outcome;
  return outcome.catch((error: unknown) => {
    throw error instanceof QuotaError && error.details.scope === 'TENANT' ? without(error) : error;
  }) as T;
}

function without(error: QuotaError): DomainError {
  const { used: _, ...details } = error.details;
  return new DomainError(error.code, error.message, details, { cause: error });
}
