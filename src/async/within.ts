/**
 * As `work` settles; once `limitMs` have passed, as `onLate` does: it gives something else, throws, or waits on. The work itself
 * is not ended, and what becomes of it then is nobody's concern.
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
