/**
 * Gives `work` a controller of its own that is aborted with `signal`, and when the work is over. Nothing is left on `signal` then:
 * AbortSignal.any leaves something of each combined signal on one that lives long, in Node 20.
 */
export async function withAbort<T>(
  signal: AbortSignal,
  work: (own: AbortController) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const follow = () => own.abort(signal.reason);
  if (signal.aborted) follow();
  signal.addEventListener('abort', follow, { once: true });
  try {
    return await work(own);
  } finally {
    signal.removeEventListener('abort', follow);
    own.abort();
  }
}
