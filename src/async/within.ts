/**
 * Settles as `work` does. After `limitMs` it settles as `onLate` does instead, which may return another value, throw,
 * or wait longer. The work itself is not stopped, and its later result or failure is ignored.
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
