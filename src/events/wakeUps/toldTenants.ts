/** How a gateway's row of `waiting_requests` tells who waits there. */
import type { WaitingHere, WaitingPlace } from '../../domain/waitingPlace.ts';

/** By tenant: how many calls wait, and the places of their users, each with the hash of the user and the time. */
export type ToldTenants = Readonly<
  Record<
    string,
    { readonly calls: number; readonly places: readonly (readonly [string, number])[] }
  >
>;

export function toldTenants({ calls, places }: WaitingHere): ToldTenants {
  const told = new Map<string, [string, number][]>();
  for (const { tenant, user, since } of places) {
    told.set(tenant, [...(told.get(tenant) ?? []), [user, since]]);
  }
  return Object.fromEntries(
    [...calls].map(([tenant, count]) => [tenant, { calls: count, places: told.get(tenant) ?? [] }]),
  );
}

export function placesOf(tenants: ToldTenants): WaitingPlace[] {
  return Object.entries(tenants).flatMap(([tenant, { places }]) =>
    places.map(([user, since]) => ({ tenant, user, since })),
  );
}
