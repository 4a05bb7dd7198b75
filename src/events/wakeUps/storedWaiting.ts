/** The format in which a gateway's row of `waiting_requests` says who waits there. */
import type { WaitingHere, WaitingPlace } from '../../domain/poolStatus.ts';

/** The hash of the user, the time, and the name of the environment, if one is waited for. */
type StoredPlace = readonly [string, number] | readonly [string, number, string];

/** By tenant: how many calls wait, and the places of their users. */
export type StoredWaiting = Readonly<
  Record<string, { readonly calls: number; readonly places: readonly StoredPlace[] }>
>;

export function encodeWaiting({ calls, places }: WaitingHere): StoredWaiting {
  const told = new Map<string, StoredPlace[]>();
  for (const { tenant, user, since, environment } of places) {
    const place: StoredPlace = environment === null ? [user, since] : [user, since, environment];
    told.set(tenant, [...(told.get(tenant) ?? []), place]);
  }
  return Object.fromEntries(
    [...calls].map(([tenant, count]) => [tenant, { calls: count, places: told.get(tenant) ?? [] }]),
  );
}

export function decodeWaiting(tenants: StoredWaiting): WaitingPlace[] {
  return Object.entries(tenants).flatMap(([tenant, { places }]) =>
    places.map(([user, since, environment = null]) => ({ tenant, user, since, environment })),
  );
}
