/** Where the gateway listens, and where it finds its data, the database and the engine. */

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { quoted } from '../domain/text.ts';
import {
  absolutePath,
  choice,
  integer,
  matching,
  optional,
  parseUrl,
  type Setting,
  type Surroundings,
  text,
} from './setting.ts';

/** The longest path of a Unix socket (sun_path without its final NUL). */
const MAX_SOCKET_PATH_BYTES = 107;
/** Length of `/<poolId>/<workerId>/agent.sock`, which follows SOCKET_DIR. The ids have no dashes there. */
const SOCKET_PATH_TAIL_BYTES = 1 + 32 + 1 + 32 + '/agent.sock'.length;
const MAX_BYTES = MAX_SOCKET_PATH_BYTES - SOCKET_PATH_TAIL_BYTES;

const DECLARED = text({
  name: 'SOCKET_DIR',
  text: "The folder of the workers' sockets. Without root, the default is `cellhouse` in `XDG_RUNTIME_DIR`.",
  fallback: '/run/cellhouse',
  allowed: 'a path',
  parse: absolutePath,
});

const socketDir: Setting<string> = {
  ...DECLARED,
  unset: (surroundings) => {
    const usual = usualDir(surroundings);
    return usual === null ? '' : resolve(usual);
  },
  problemOf: (value) => {
    if (value === '')
      return 'Neither SOCKET_DIR nor XDG_RUNTIME_DIR is set. Without root, one of them must name a directory of yours.';
    if (Buffer.byteLength(value) <= MAX_BYTES) return null;
    return `SOCKET_DIR is ${quoted(value)}, but must be at most ${MAX_BYTES} bytes long: a socket's path ends at ${MAX_SOCKET_PATH_BYTES}.`;
  },
};

/** The default folder. Null if this user has none. */
function usualDir({ env, uid }: Surroundings): string | null {
  if (uid === 0) return DECLARED.fallback;
  return env.XDG_RUNTIME_DIR ? `${env.XDG_RUNTIME_DIR}/cellhouse` : null;
}

const DECLARED_DATA_DIR = text({
  name: 'DATA_DIR',
  text: "The folder for the gateway's identity, the token and the embedded PostgreSQL. Each running gateway needs its own. The default of an installed release is `/var/lib/cellhouse`, and without root `~/.local/share/cellhouse`.",
  fallback: '.cellhouse',
  allowed: 'a path',
  parse: absolutePath,
});

/**
 * In a clone, the default is a folder of the working directory. An installed release is called from any folder, and
 * must find the same data each time. They must not be in the folder of the package, which the next release replaces.
 */
const dataDir: Setting<string> = {
  ...DECLARED_DATA_DIR,
  unset: (surroundings) =>
    isInstalled() ? installedDataDir(surroundings) : DECLARED_DATA_DIR.unset(surroundings),
  problemOf: (_, surroundings) =>
    isInstalled() && existsSync(RELEASE_OF_SERVICE) ? besideService(surroundings) : null,
};

/** A link to the release that serves, if this machine has the service of systemd: src/cli/systemdUnits.ts. */
const RELEASE_OF_SERVICE = '/opt/cellhouse/current';

/**
 * The problem of a command that takes the default of root on a machine with the service: it would use the service's
 * folder without the service's settings, which are in a file. Null if the command does not take that default.
 */
export function besideService({ env, uid }: Surroundings): string | null {
  if (uid !== 0 || env.DATA_DIR) return null;
  return 'This machine has the service, with settings of its own. Call the command as: cellhouse service run COMMAND. For another installation, set DATA_DIR.';
}

/** Whether this program is a release, which has no sources. In a clone, and in tests of it, they are there. */
function isInstalled(): boolean {
  return !existsSync(new URL('../../src', import.meta.url));
}

/** The folder of an installed release: the system's for root, else one in the user's home. */
export function installedDataDir({ env, uid }: Surroundings): string {
  if (uid === 0) return '/var/lib/cellhouse';
  return join(env.XDG_DATA_HOME || join(env.HOME || homedir(), '.local/share'), 'cellhouse');
}

export const PLACES = {
  host: text({
    name: 'HOST',
    text: 'The address to listen on. There is no TLS, so put a proxy in front of any address but loopback.',
    fallback: '127.0.0.1',
    allowed: 'a host name or an address, without a port',
    parse: matching(/^[\w.:-]+$/),
  }),
  port: integer({
    name: 'PORT',
    text: 'The port to listen on. 0 takes any free port.',
    fallback: 3874,
    min: 0,
    max: 65_535,
  }),
  /** An absolute path. */
  dataDir,
  /** Null: the token is in the file `auth-token`. */
  authToken: optional({
    name: 'AUTH_TOKEN',
    text: 'The token of operators, who may do everything. A generated token is in the file `auth-token` in `DATA_DIR`.',
    whenUnset: 'generated at the first start',
    unset: null,
    isSecret: true,
    allowed: '1 to 1024 printable ASCII characters without spaces',
    parse: matching(/^[\x21-\x7e]{1,1024}$/),
    show: () => '(not shown)',
  }),
  /** Null: the embedded PostgreSQL. */
  databaseUrl: optional({
    name: 'DATABASE_URL',
    text: 'The `postgres://` URL of a PostgreSQL of your own.',
    whenUnset: 'embedded',
    unset: null,
    isSecret: true,
    allowed: 'a postgres:// or postgresql:// URL',
    parse: (given) =>
      /^postgres(ql)?:$/.test(parseUrl(given)?.protocol ?? '') ? given : undefined,
    show: withoutPassword,
  }),
  /** The path behind `unix://`. */
  dockerSocketPath: text({
    name: 'DOCKER_HOST',
    text: 'The socket of the Docker engine, which must be on this machine.',
    fallback: 'unix:///var/run/docker.sock',
    allowed: 'unix:// and an absolute path: workers are reached over sockets of this machine',
    parse: (given) => /^unix:\/\/(\/[^\0]+)$/s.exec(given)?.[1],
  }),
  dockerRuntime: text({
    name: 'DOCKER_RUNTIME',
    text: 'The OCI runtime of the workers. Use `runsc` ([gVisor](isolation.md#gvisor)) for code of strangers.',
    fallback: 'runc',
    allowed: 'the name of a runtime that the Docker engine knows',
    parse: matching(/^[\w.-]+$/),
  }),
  /** An absolute path. The sockets are in it as `<poolId>/<workerId>/agent.sock`. */
  socketDir,
  logLevel: choice({
    name: 'LOG_LEVEL',
    text: 'The lowest level that is logged: `fatal`, `error`, `warn`, `info`, `debug` or `trace`. `silent` logs nothing.',
    words: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    fallback: 'info',
  }),
  workerImage: optional({
    name: 'WORKER_IMAGE',
    text: "The tag or id of the workers' image.",
    whenUnset: 'built and set by `npm start`',
    unset: null,
    allowed: "an image's tag or id",
    parse: matching(/^[\w][\w.:/@-]*$/),
  }),
};

/** A text that is not a URL is not shown at all, because its password cannot be found and removed. */
function withoutPassword(given: string): string {
  const url = parseUrl(given);
  if (!url) return 'not a URL';
  return JSON.stringify(`${url.protocol}//${url.host}${url.pathname}`);
}
