/**
 * Gives `work` its own controller, which is aborted when `signal` is aborted or the work is over. Afterwards no
 * listener is left on `signal`. `AbortSignal.any` would leak on a long-lived signal in Node 20: it keeps a part of
 * every combined signal there.
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
