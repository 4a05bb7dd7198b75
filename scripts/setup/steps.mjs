/**
 * Prints a line before and after a step. Only steps that have work to do are announced, so a start without work prints
 * nothing.
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
 * Prints a detail of the current step.
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
