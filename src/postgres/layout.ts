import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where each part of the embedded PostgreSQL of one DATA_DIR lies. All paths are absolute. */
export interface Layout {
  /** Holds everything but, for a very long DATA_DIR, the socket. Belongs to whoever runs the gateway. */
  readonly root: string;
  /** The cluster. Mode 0700, belongs to the server's user. */
  readonly data: string;
  /** The folder of the server's socket. Mode 0700, belongs to the server's user: who cannot enter cannot connect. */
  readonly socketDir: string;
  /** What the server writes before it exits, and `LOG` lines. */
  readonly log: string;
}

/** It names the socket (`.s.PGSQL.5432`); no TCP port is opened. */
export const PORT = 5432;

/** `sockaddr_un.sun_path` holds 108 bytes with its closing zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * The layout below `dataDir`, which must exist. Links are resolved, since a running server is recognised by its real
 * working directory.
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

/** The socket itself, as the server and its clients name it. */
export function socketOf({ socketDir }: Pick<Layout, 'socketDir'>): string {
  return join(socketDir, `.s.PGSQL.${PORT}`);
}

/** Beside the data, or, where that path is too long for a socket, a folder of its own name in the short `/run` or `/tmp`. */
function socketDirFor(root: string): string {
  const beside = join(root, 'run');
  if (Buffer.byteLength(socketOf({ socketDir: beside })) <= MAX_SOCKET_PATH_BYTES) return beside;
  const name = `cellhouse-postgres-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
  return join(process.getuid?.() === 0 ? '/run' : tmpdir(), name);
}
