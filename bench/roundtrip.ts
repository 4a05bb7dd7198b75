/**
 * Measures what the agent and the channel cost: `1+1` from sending the request until the reply, over the WebSocket on
 * the worker's socket. The baseline is the round trip of a stock ipykernel in the same image.
 */
import { startAgent } from '../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner } from '../testkit/kernelRunner.ts';
import { startStock } from './contenders/contenders.ts';
import type { Bench } from './suite/bench.ts';
import { type Contender, takeTurns, withContenders } from './suite/takeTurns.ts';

const CODE = '1+1';
const RESULT = '2';
/** The short form has as many: the turns take only seconds, and must outlast a burst of other work on the machine. */
const TURNS = { samples: 400, warmUp: 100 };

export const roundtripBench: Bench = {
  name: 'roundtrip',
  about: '1+1 through a worker and its channel, without a gateway, beside a stock kernel',
  isInBareRun: true,
  run: async () => {
    const [base, measured] = await withContenders([startStock, startChannel], (contenders) =>
      takeTurns(contenders, TURNS),
    );
    return { comparisons: [{ name: CODE, unit: 'ms', base, measured }], figures: [] };
  },
};

async function startChannel(): Promise<Contender> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.address);
  return {
    name: 'through the agent and its channel',
    roundTrip: () => roundTrip(runner),
    close: async () => {
      await runner.close();
      await agent.close();
    },
  };
}

async function roundTrip(runner: KernelRunner): Promise<number> {
  const startedAt = performance.now();
  const { outcome, outputs } = await runner.run(CODE);
  const tookMs = performance.now() - startedAt;
  const [result] = outputs;
  if (outcome.status !== 'OK' || result?.kind !== 'result' || result.data['text/plain'] !== RESULT)
    throw new Error(JSON.stringify({ outcome, outputs }));
  return tookMs;
}
