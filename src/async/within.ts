/**
 * Settles as `work` does. If `work` takes longer than `limitMs`, `onLate` is called, and the first of `work` and
 * `onLate` to settle decides. `onLate` may return another value, throw, or wait longer. The work itself is never
 * stopped.
 */
export async function within<T, L>(
  limitMs: number,
  work: PromiseLike<T>,
  onLate: () => L | PromiseLike<L>,
): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  }).then(onLate);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
