/** Measures the delay from a print until a subscriber receives it. Both times are from this machine's clock. */
import type { TestGateway } from '../../testkit/gateway.ts';
import { follow, submit } from '../../testkit/interpreter.ts';

const TIMEOUT_MS = 60_000;
const MS_PER_S = 1_000;

export interface Prints {
  /** Pause between two prints. */
  readonly pauseS: number;
  readonly samples: number;
  readonly warmUp: number;
}

/** @returns the delay of each print in milliseconds, without the first few, which may be older than the subscription */
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
  // Read only now, because the two clocks drift apart.
  const epochMs = Date.now() - performance.now();
  const tookMs = outputs.flatMap(({ text, receivedAt }) => {
    const cameAt = epochMs + receivedAt;
    // A late print may arrive together with the next one.
    return (text ?? '')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((printedAt) => cameAt - Number(printedAt) * MS_PER_S);
  });
  if (tookMs.length !== samples + warmUp) throw new Error(`${tookMs.length} prints came.`);
  return tookMs.slice(warmUp);
}
