import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode } from '../domain/errors.ts';

/** The user that the server runs as. Null: the gateway's own user. */
export type ServerUser = { readonly uid: number; readonly gid: number } | null;

/**
 * PostgreSQL refuses to run as root. If the gateway runs as root, the server runs as the owner of the cluster, else as
 * the machine's user `postgres`, else as `nobody`. One of these users exists on every Debian, and initdb needs a user
 * with a name.
 */
export function chooseServerUser(clusterDir: string): ServerUser {
  if (process.getuid?.() !== 0) return null;
  return ownerOf(clusterDir) ?? namedUser('postgres') ?? namedUser('nobody') ?? NOBODY;
}

const NOBODY = { uid: 65534, gid: 65534 };

function ownerOf(path: string): ServerUser {
  try {
    const { uid, gid } = statSync(path);
    return uid === 0 ? null : { uid, gid };
  } catch (e: unknown) {
    if (hasCode(e, 'ENOENT')) return null;
    throw e;
  }
}

/** Finds only local users. A lookup through NSS would need a program that is not always installed. */
function namedUser(name: string): ServerUser {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/**
 * The command that runs `argv` as that user. The checkout or data directory may be below a folder that the user cannot
 * enter (`/root`, a `mktemp -d`). Only then does the server keep one capability, CAP_DAC_READ_SEARCH, to get through.
 * @param needsPath the path that the user must be able to reach
 */
export function asServerUser(
  user: ServerUser,
  argv: readonly string[],
  needsPath: string,
): readonly string[] {
  if (user === null) return argv;
  const through = canReach(user, needsPath)
    ? []
    : [
        '--inh-caps=+dac_read_search',
        '--ambient-caps=+dac_read_search',
        // initdb checks its files with access(2), which respects capabilities only in this mode (capabilities(7)).
        '--securebits=+no_setuid_fixup',
      ];
  return [
    'setpriv',
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    ...through,
    '--',
    ...argv,
  ];
}

const OTHERS_ENTER = 0o001;
const GROUP_ENTERS = 0o010;
const OWNER_ENTERS = 0o100;

/** Whether the user may enter every folder above `path` according to the mode bits. ACLs are not considered. */
function canReach(user: { uid: number; gid: number }, path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { uid, gid, mode } = statSync(folder);
    const bit = uid === user.uid ? OWNER_ENTERS : gid === user.gid ? GROUP_ENTERS : OTHERS_ENTER;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
