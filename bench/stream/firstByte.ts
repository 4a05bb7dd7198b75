/** How soon after a print a subscriber has it. Printed and received are read off the same machine's clock. */
import type { TestGateway } from '../../testkit/gateway.ts';
import { follow, submit } from '../../testkit/interpreter.ts';

const TIMEOUT_MS = 60_000;
const MS_PER_S = 1_000;

export interface Prints {
  /** Between two of them. */
  readonly pauseS: number;
  readonly samples: number;
  readonly warmUp: number;
}

/** @returns milliseconds, one for each print; the first few, which may have come before they were followed, left out */
export async function firstByteMs(
  gateway: TestGateway,
  userUuid: string,
  { pauseS, samples, warmUp }: Prints,
): Promise<number[]> {
  const code = `import time
for _ in range(${samples + warmUp}):
    time.sleep(${pauseS})
    print(time.time())`;
  const { id } = await submit(gateway, userUuid, code, { timeoutMs: TIMEOUT_MS });
  const outputs = await follow(gateway.socket(), id);
  // Now, since the two clocks drift apart.
  const epochMs = Date.now() - performance.now();
  const tookMs = outputs.flatMap(({ text, receivedAt }) => {
    const cameAt = epochMs + receivedAt;
    // One that comes late may come with the next.
    return (text ?? '')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((printedAt) => cameAt - Number(printedAt) * MS_PER_S);
  });
  if (tookMs.length !== samples + warmUp) throw new Error(`${tookMs.length} prints came.`);
  return tookMs.slice(warmUp);
}
