import type { Config } from '../config/config.ts';
import { tooMany } from './egressRefusal.ts';

/** Limits the connections of this gateway, in total and of each tenant. */
export interface Places {
  /**
   * Takes a place for a connection. Returns the function that frees the place. It must be called once.
   * @throws EgressRefusal if no place is free
   */
  take(tenant: string): () => void;
}

export function createPlaces(
  config: Pick<Config, 'egressMaxTotalConnections' | 'egressMaxTenantConnections'>,
): Places {
  let taken = 0;
  const ofTenants = new Map<string, number>();

  function add(tenant: string, by: 1 | -1): void {
    taken += by;
    const own = (ofTenants.get(tenant) ?? 0) + by;
    if (own === 0) ofTenants.delete(tenant);
    else ofTenants.set(tenant, own);
  }

  function requireBelow(limit: number | null, used: number, name: string): void {
    if (limit !== null && used >= limit)
      throw tooMany(`All connections that ${name} allows are in use. Try again later.`);
  }

  return {
    take: (tenant) => {
      const own = ofTenants.get(tenant) ?? 0;
      requireBelow(config.egressMaxTenantConnections, own, 'EGRESS_MAX_TENANT_CONNECTIONS');
      requireBelow(config.egressMaxTotalConnections, taken, 'EGRESS_MAX_TOTAL_CONNECTIONS');
      add(tenant, 1);
      return () => add(tenant, -1);
    },
  };
}
