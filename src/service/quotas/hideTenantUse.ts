import { DomainError } from '../../domain/errors.ts';
import type { Principal } from '../principal.ts';

/** What a call gives. The holder of a token for some users is not told how much all others of the tenant use. */
export function hideTenantUse<T>(principal: Principal, outcome: Promise<T>): Promise<T> {
  if (principal.role !== 'USER') return outcome;
  return outcome.catch((error: unknown) => {
    throw isOfTenant(error) ? without(error) : error;
  });
}

/** Also one that was made of a QuotaError, for instance to say which cell of a batch was refused. */
function isOfTenant(error: unknown): error is DomainError {
  return (
    error instanceof DomainError &&
    error.code === 'QUOTA_EXCEEDED' &&
    error.details.scope === 'TENANT'
  );
}

function without(error: DomainError): DomainError {
  const { used: _, ...details } = error.details;
  return new DomainError(error.code, error.message, details, { cause: error });
}
