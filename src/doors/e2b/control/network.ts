/** What a sandbox may reach, in the words of E2B and as an option of a session. */
import { z } from 'zod';
import { FLAG, refuse } from './body.ts';

/** E2B's name for everything. */
const ALL_TRAFFIC = '0.0.0.0/0';

const HOSTS = z
  .custom<readonly string[]>(
    (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
    'must be an array of strings.',
  )
  .nullish();

export const NETWORK = z
  .looseObject({ allowPublicTraffic: FLAG, allowOut: HOSTS, denyOut: HOSTS }, 'must be an object.')
  .nullish();

/**
 * The option `egressAllow` of the session. Null: all that its tenant may reach. What is allowed stays allowed, whatever is
 * denied. What only some of the hosts are denied cannot be said with rules that allow, and is refused.
 * @param isInternetAllowed `allow_internet_access` of the request
 * @throws BAD_USER_INPUT
 */
export function egressAllowOf(
  isInternetAllowed: boolean | null | undefined,
  network: z.output<typeof NETWORK>,
): readonly string[] | null {
  const { allowPublicTraffic: _, allowOut, denyOut, ...others } = network ?? {};
  for (const [name, value] of Object.entries(others))
    if (value != null && !isNothing(value))
      refuse(`network.${name} is not supported. Only allowOut and denyOut are.`);
  const allowed = allowOut ?? [];
  const denied = denyOut ?? [];
  if (denied.some((each) => each !== ALL_TRAFFIC))
    refuse(
      `network.denyOut may only be "${ALL_TRAFFIC}", all traffic: list what is allowed in network.allowOut instead.`,
    );
  if (allowed.includes(ALL_TRAFFIC)) return null;
  const isAllDenied = denied.length > 0 || isInternetAllowed === false;
  if (isAllDenied) return allowed;
  if (allowed.length > 0)
    refuse(
      `network.allowOut without "${ALL_TRAFFIC}" in network.denyOut denies nothing. Add it, and only the listed hosts can be reached.`,
    );
  return null;
}

/** The answer to whoever asks for the network of a sandbox, as far as it was narrowed. */
export function networkFields(egressAllow: readonly string[] | null): object {
  if (egressAllow === null) return {};
  const network = { allowOut: egressAllow, denyOut: [ALL_TRAFFIC] };
  return { network, ...(egressAllow.length === 0 && { allowInternetAccess: false }) };
}

/** Such as the rules of a client that has none. */
function isNothing(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
