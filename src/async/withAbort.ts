/**
 * Gives `work` its own controller, which is aborted when `signal` is aborted or the work is over. Afterwards no
 * listener is left on `signal`. `AbortSignal.any` would leak in Node 20: a long-lived signal keeps a part of every
 * signal that was made from it.
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
