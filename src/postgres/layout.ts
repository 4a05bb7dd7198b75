import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The paths of one DATA_DIR's embedded PostgreSQL. All are absolute. */
export interface Layout {
  /** Holds everything, except the socket if DATA_DIR is very long. Owned by the gateway's user. */
  readonly root: string;
  /** The cluster. Mode 0700, owned by the server's user. */
  readonly data: string;
  /** The folder of the server's socket. Mode 0700, owned by the server's user, so that no other user can connect. */
  readonly socketDir: string;
  /** The server's log: messages of level `LOG` and the errors that end the server. */
  readonly log: string;
}

/** This is only a part of the socket's name (`.s.PGSQL.5432`). No TCP port is opened. */
export const PORT = 5432;

/** `sockaddr_un.sun_path` holds 108 bytes including the final zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * The layout below `dataDir`, which must exist. Symbolic links are resolved, because a running server is recognised by
 * its real working directory.
 */
export function layoutOf(dataDir: string): Layout {
  const root = join(realpathSync(dataDir), 'postgres');
  return {
    root,
    data: join(root, 'data'),
    socketDir: socketDirFor(root),
    log: join(root, 'server.log'),
  };
}

/** The path of the socket. */
export function socketOf({ socketDir }: Pick<Layout, 'socketDir'>): string {
  return join(socketDir, `.s.PGSQL.${PORT}`);
}

/**
 * The folder of the socket is next to the data. If that path is too long for a socket, it is a folder with a unique
 * name in `/run` (as root) or in the folder for temporary files.
 */
function socketDirFor(root: string): string {
  const beside = join(root, 'run');
  if (Buffer.byteLength(socketOf({ socketDir: beside })) <= MAX_SOCKET_PATH_BYTES) return beside;
  const name = `cellhouse-postgres-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
  return join(process.getuid?.() === 0 ? '/run' : tmpdir(), name);
}
