/**
 * Calls the listener once, when the signal is aborted: now, if it is already, which `addEventListener` would not tell.
 * Returns a function that takes the listener back.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
