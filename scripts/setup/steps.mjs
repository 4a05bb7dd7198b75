/**
 * Tells about one step that has something to do, before and after it. A step that finds its work done already is never
 * announced, so that a warm start says nothing.
 * @template T
 * @param {string} title what is being done, e.g. `Installing npm packages`
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const startedAt = performance.now();
  console.log(`• ${title} …`);
  try {
    const result = await work();
    console.log(`  done in ${seconds(startedAt)}`);
    return result;
  } catch (e) {
    console.log(`  failed after ${seconds(startedAt)}`);
    throw e;
  }
}

/**
 * A detail of the step that runs.
 * @param {string} text
 */
export function detail(text) {
  console.log(`  ${text.length > MAX_DETAIL_CHARS ? `${text.slice(0, MAX_DETAIL_CHARS)}…` : text}`);
}

/** One line of a usual terminal. */
const MAX_DETAIL_CHARS = 110;

function seconds(startedAt) {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}
