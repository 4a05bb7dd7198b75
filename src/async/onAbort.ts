/**
 * Calls the listener once, when the signal is aborted. If the signal is already aborted, the listener is called
 * immediately; `addEventListener` would never call it.
 * @returns a function that removes the listener
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
