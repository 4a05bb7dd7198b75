/** What a sandbox may reach, in the words of E2B and as an option of a session. */
import { isSet, listOf, objectOf, refuse } from './body.ts';

/** E2B's name for everything. */
const ALL_TRAFFIC = '0.0.0.0/0';
/** What the API knows of a network, and does not do here. */
const UNSUPPORTED = ['rules', 'egressProxy', 'maskRequestHost', 'httpsPorts'];
const KNOWN = ['allowPublicTraffic', 'allowOut', 'denyOut', ...UNSUPPORTED];

/**
 * The option `egressAllow` of the session. Null: all that its tenant may reach. What is allowed stays allowed, whatever is
 * denied. What only some of the hosts are denied cannot be said with rules that allow, and is refused.
 * @param isInternetAllowed `allow_internet_access` of the request
 * @throws BAD_USER_INPUT
 */
export function egressAllowOf(
  isInternetAllowed: unknown,
  given: unknown,
): readonly string[] | null {
  const network = objectOf('network', given);
  for (const [name, value] of Object.entries(network))
    if (value != null && !isNothing(value) && isRefused(name))
      refuse(`network.${name} is not supported. Only allowOut and denyOut are.`);
  isSet('network.allowPublicTraffic', network.allowPublicTraffic);
  const allowed = listOf('network.allowOut', network.allowOut);
  const denied = listOf('network.denyOut', network.denyOut);
  if (denied.some((each) => each !== ALL_TRAFFIC))
    refuse(
      `network.denyOut may only be "${ALL_TRAFFIC}", all traffic: list what is allowed in network.allowOut instead.`,
    );
  if (allowed.includes(ALL_TRAFFIC)) return null;
  const isAllDenied = denied.length > 0 || !isOn(isInternetAllowed);
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

function isOn(isInternetAllowed: unknown): boolean {
  return isInternetAllowed == null || isSet('allow_internet_access', isInternetAllowed);
}

function isRefused(name: string): boolean {
  return UNSUPPORTED.includes(name) || !KNOWN.includes(name);
}

/** Such as the rules of a client that has none. */
function isNothing(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
