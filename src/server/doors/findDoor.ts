import type { IncomingMessage } from 'node:http';
import type { OpenDoor } from '../../doors/openDoor.ts';
import { takeToken, type WithoutToken } from './doorTokens.ts';

/** The door that serves a request, and the path inside the door. */
export interface FoundDoor {
  readonly door: OpenDoor;
  /** Inside the door. */
  readonly path: string;
  readonly taken: WithoutToken;
}

/** `elsewhere`: the request is not for a door. Null: its path begins with a token, but no door is at the rest. */
export type FindDoor = (req: IncomingMessage) => FoundDoor | 'elsewhere' | null;

/** Finds doors by path. Removes the token from the request's URL, unless the result is `elsewhere`. */
export function createFindDoor(doors: readonly OpenDoor[]): FindDoor {
  const mounts = doors.flatMap((door) =>
    Object.entries(door.mounts).map(([prefix, inside]) => ({ door, prefix, inside })),
  );

  function mountOf(path: string): Pick<FoundDoor, 'door' | 'path'> | null {
    const mount = mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    if (mount === undefined) return null;
    return { door: mount.door, path: `${mount.inside}${path.slice(mount.prefix.length)}` };
  }

  return (req) => {
    const [path = '/'] = (req.url ?? '/').split('?', 1);
    const hasToken = path.startsWith('/t/');
    if (!hasToken && mountOf(path) === null) return 'elsewhere';
    const taken = takeToken(req);
    const found = mountOf(taken.path);
    return found && { ...found, taken };
  };
}
