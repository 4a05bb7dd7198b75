import { DomainError } from '../../domain/errors.ts';
import type { Principal } from '../principal.ts';

/**
 * The outcome of a call. If a quota of the tenant refuses it, a caller with the role USER is not told the tenant's use.
 */
export function hideTenantUse<T>(principal: Principal, outcome: Promise<T>): Promise<T> {
  if (principal.role !== 'USER') return outcome;
  return outcome.catch((error: unknown) => {
    throw isOfTenant(error) ? without(error) : error;
  });
}

/** Any such DomainError, and not only a QuotaError: a batch wraps it in an error that names the refused cell. */
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
