/** What is put out, 10 MB of each kind. */

const MEGABYTES = 10;
const PICTURES = 300;

export interface StreamCase {
  readonly name: string;
  readonly code: string;
  /** Characters that are printed, or pictures that are shown. */
  readonly expected: number;
}

/** Noise, since a PNG of less has less to carry: as base64, a three-hundredth of 10 MB. It is drawn once, and shown again and again. */
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

/** What is stored of each kind is more than this, in bytes. */
export const LEAST_BYTES = 0.95 * MEGABYTES * 1e6;

/** @returns MB/s. @throws Error when something is missing */
export function rateOf(wanted: StreamCase, came: number, ms: number): number {
  if (came !== wanted.expected)
    throw new Error(`${wanted.name}: ${came} of ${wanted.expected} came.`);
  return MEGABYTES / (ms / 1_000);
}
