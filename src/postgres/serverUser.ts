import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode } from '../domain/errors.ts';

/** Who runs the server. Null: whoever runs the gateway. */
export type ServerUser = { readonly uid: number; readonly gid: number } | null;

/**
 * PostgreSQL refuses to run as root. Then it runs as whoever owns the cluster already, else as the machine's `postgres`,
 * else as `nobody`: one of the two exists on every Debian, and initdb wants a user with a name.
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

/** Local users only: a look-up through NSS would need a program that is not always there. */
function namedUser(name: string): ServerUser {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

/**
 * `argv` as that user. A checkout or data directory may lie below a folder that this user cannot enter (`/root`, a
 * `mktemp -d`); only then the server keeps the one capability that lets it through, CAP_DAC_READ_SEARCH.
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
        // access(2), with which initdb looks at its files, ignores capabilities but in this mode (capabilities(7)).
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

/** Whether every folder above `path` lets the user in, going by the mode bits (an ACL may say otherwise). */
function canReach(user: { uid: number; gid: number }, path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { uid, gid, mode } = statSync(folder);
    const bit = uid === user.uid ? OWNER_ENTERS : gid === user.gid ? GROUP_ENTERS : OTHERS_ENTER;
    if ((mode & bit) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
