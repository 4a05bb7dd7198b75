import { resolve } from 'node:path';
import { quoted } from '../domain/quoted.ts';
import { absolutePath, type Setting, type Surroundings, text } from './setting.ts';

/** A Unix socket's path ends here (sun_path, less its final NUL). */
const MAX_SOCKET_PATH_BYTES = 107;
/** `/<poolId>/<workerId>/agent.sock` below SOCKET_DIR, the ids without their dashes. */
const SOCKET_PATH_TAIL_BYTES = 1 + 32 + 1 + 32 + '/agent.sock'.length;
const MAX_BYTES = MAX_SOCKET_PATH_BYTES - SOCKET_PATH_TAIL_BYTES;

const DECLARED = text({
  name: 'SOCKET_DIR',
  text: "Where the workers' sockets are; not as root: `cellhouse` in `XDG_RUNTIME_DIR`.",
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
      return 'SOCKET_DIR is not set and neither is XDG_RUNTIME_DIR, but without root one of them must name a directory of yours.';
    if (Buffer.byteLength(value) <= MAX_BYTES) return null;
    return `SOCKET_DIR is ${quoted(value)}, but must be at most ${MAX_BYTES} bytes long: a socket's path ends at ${MAX_SOCKET_PATH_BYTES}.`;
  },
};

/** Null: this user has none. */
function usualDir({ env, uid }: Surroundings): string | null {
  if (uid === 0) return DECLARED.fallback;
  return env.XDG_RUNTIME_DIR ? `${env.XDG_RUNTIME_DIR}/cellhouse` : null;
}
