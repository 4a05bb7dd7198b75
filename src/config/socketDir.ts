import { resolve } from 'node:path';
import { quoted } from '../domain/text.ts';
import { absolutePath, type Setting, type Surroundings, text } from './setting.ts';

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

export const socketDir: Setting<string> = {
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
