/** Which doors are open, and the host names by which clients may reach them. A door is a protocol beside GraphQL. */
import { SERVED_DOORS, type ServedDoor } from '../domain/token.ts';
import { optional, text } from './setting.ts';

const HOST_NAME = /^(?:\*|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)$/;

export const DOOR_SETTINGS = {
  doors: text<readonly ServedDoor[]>({
    name: 'DOORS',
    text: 'Which doors are open beside GraphQL and `/files/`, separated by commas: see [Doors](../use/doors/README.md). `none` closes all.',
    fallback: 'mcp,jupyter,e2b',
    allowed: `some of ${SERVED_DOORS.join(',')}, separated by commas, or none`,
    parse: (given) => (given === 'none' ? [] : doorsIn(listOf(given))),
  }),
  /** Null: every name, but none if HOST is loopback (`src/server/doors/enterDoor.ts`). */
  allowedHosts: optional<readonly string[], null>({
    name: 'ALLOWED_HOSTS',
    text: 'Host names by which clients reach the doors, without ports, separated by commas. `*` allows every name. Addresses and `localhost` are always allowed. Doors refuse a request whose `Host` is another name, so that no web page can reach them by a name of its own (DNS rebinding).',
    whenUnset: 'none if HOST is loopback, else every name',
    unset: null,
    allowed: 'host names such as code.example.com, separated by commas, or *',
    parse: (given) => {
      const names = listOf(given).map((name) => name.toLowerCase());
      return names.every((name) => HOST_NAME.test(name)) ? names : undefined;
    },
  }),
};

function listOf(given: string): string[] {
  return given.split(',').map((part) => part.trim());
}

/** The doors with these names, each once, in the order of SERVED_DOORS. Undefined: a name is unknown. */
function doorsIn(names: readonly string[]): readonly ServedDoor[] | undefined {
  const known = SERVED_DOORS.filter((door) => names.includes(door));
  return known.length === new Set(names).size ? known : undefined;
}
