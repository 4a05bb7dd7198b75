/** The users who wait for a worker. Gateways tell each other who waits, so that all of them keep to one order. */

/** The place of one user among all who wait. All calls of a user share it. */
export interface WaitingPlace {
  readonly tenant: string;
  /** The same text for the same user at every gateway. It does not reveal who the user is. */
  readonly user: string;
  /** When the first of the user's calls began to wait, in milliseconds since 1970, by the clock of its gateway. */
  readonly since: number;
  /** The name of the environment whose worker the user waits for. Null: any worker without an environment. */
  readonly environment: string | null;
}

/** The calls that wait at one gateway. */
export interface WaitingHere {
  /** How many calls of each tenant wait. */
  readonly calls: ReadonlyMap<string, number>;
  /** The places of their users in the order of their turns, as many as other gateways need to know. */
  readonly places: readonly WaitingPlace[];
}

/** How many of the places are for each environment. */
export function countByEnvironment(places: readonly WaitingPlace[]): Map<string | null, number> {
  const counts = new Map<string | null, number>();
  for (const { environment } of places) counts.set(environment, (counts.get(environment) ?? 0) + 1);
  return counts;
}
