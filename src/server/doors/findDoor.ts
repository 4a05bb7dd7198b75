import type { IncomingMessage } from 'node:http';
import type { OpenDoor, UnknownRequest } from '../../doors/openDoor.ts';
import { takeToken, type WithoutToken } from './doorTokens.ts';

/** The door that serves a request. */
export interface FoundDoor {
  readonly door: OpenDoor;
  readonly request: UnknownRequest;
  readonly taken: WithoutToken;
}

/** `elsewhere`: the request is not for a door. Null: its path begins with a token, but no door is at the rest. */
export type FindDoor = (req: IncomingMessage) => FoundDoor | 'elsewhere' | null;

/** Finds doors by path. Removes the token from the request's URL, unless the result is `elsewhere`. */
export function createFindDoor(doors: readonly OpenDoor[]): FindDoor {
  const mounts = doors.flatMap((door) =>
    Object.entries(door.mounts).map(([prefix, inside]) => ({ door, prefix, inside })),
  );

  function mountOf(path: string) {
    return mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  }

  return (req) => {
    const [path = '/'] = (req.url ?? '/').split('?', 1);
    const hasToken = path.startsWith('/t/');
    if (!hasToken && mountOf(path) === undefined) return 'elsewhere';
    const taken = takeToken(req);
    const mount = mountOf(taken.path);
    if (mount === undefined) return null;
    const inside = `${mount.inside}${taken.path.slice(mount.prefix.length)}`;
    const request = { req, method: req.method ?? 'GET', path: inside, query: taken.query };
    return { door: mount.door, request, taken };
  };
}
