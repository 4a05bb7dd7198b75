/** The kinds of output that are measured, 10 MB of each. */

const MEGABYTES = 10;
const PICTURES = 300;

export interface StreamCase {
  readonly name: string;
  readonly code: string;
  /** The number of printed characters, or of shown pictures. */
  readonly expected: number;
  /** Further fields of the call, such as the language. @default none */
  readonly options?: Readonly<Record<string, unknown>>;
}

/**
 * Draws a picture once, which is then shown repeatedly. It is noise, because a PNG compresses anything else too well.
 * As base64 it has a three-hundredth of 10 MB.
 */
export const PREPARATION = `import io
import numpy as np
import matplotlib.pyplot as plt
from IPython.display import Image, display
figure = plt.figure(figsize=(1.51, 1.51), dpi=72)
plt.imshow(np.random.default_rng(1).random((90, 90, 3)))
drawn = io.BytesIO()
figure.savefig(drawn, format="png")
plt.close(figure)
png = drawn.getvalue()`;

export const CASES: readonly StreamCase[] = [
  {
    name: 'as lines of 100 bytes',
    code: 'for _ in range(100_000): print("x" * 99)',
    expected: MEGABYTES * 1e6,
  },
  { name: 'as one print', code: 'print("x" * 9_999_999)', expected: MEGABYTES * 1e6 },
  {
    name: `as ${PICTURES} pictures`,
    code: `for _ in range(${PICTURES}): display(Image(png))`,
    expected: PICTURES,
  },
];

/** At least this many bytes must be stored for each kind of output. */
export const LEAST_BYTES = 0.95 * MEGABYTES * 1e6;

/** @returns MB/s. @throws Error if output is missing */
export function rateOf(wanted: StreamCase, came: number, ms: number): number {
  if (came !== wanted.expected)
    throw new Error(`${wanted.name}: ${came} of ${wanted.expected} came.`);
  return MEGABYTES / (ms / 1_000);
}
