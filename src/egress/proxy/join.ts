import type { Duplex } from 'node:stream';

/** Copies both ways until both have ended. The end of one way does not end the other; a failure ends both. */
export function join(one: Duplex, other: Duplex): void {
  one.pipe(other);
  other.pipe(one);
  endWith(one, other);
  endWith(other, one);
}

function endWith(one: Duplex, other: Duplex): void {
  const end = () => {
    // Bytes of `one` may still be on their way to `other`, so `other` is ended and not destroyed.
    if (one.readableEnded && !one.errored) other.end();
    else other.destroy();
  };
  if (one.destroyed) end();
  else one.once('close', end);
}
