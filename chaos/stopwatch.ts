/** Says how long something took, for a person: `const took = stopwatch()`, later `took()`, e.g. `12.3 s`. */
export function stopwatch(): () => string {
  const startedAt = performance.now();
  return () => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
