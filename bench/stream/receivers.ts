/** The receivers of output that are compared. */
import { startAgent } from '../../testkit/agentServer.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, submit } from '../../testkit/interpreter.ts';
import { createKernelRunner, type Ran } from '../../testkit/kernelRunner.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { startStockKernel } from '../support/stockKernel.ts';
import { LEAST_BYTES, PREPARATION, rateOf, type StreamCase } from './cases.ts';

/** A receiver with its own session. */
export interface Receiver {
  readonly name: string;
  /**
   * Measures from sending the request until all output and the end have arrived. @returns MB/s.
   * @throws Error if output is missing
   */
  rate(wanted: StreamCase): Promise<number>;
  close(): Promise<void>;
}

/** Whose sessions are measured. */
export const BENCH_USER = 'bench';
const TIMEOUT_MS = 60_000;
const FOLLOW = `subscription ($id: ID!) { output(executionId: $id) {
  __typename ... on StreamOutput { text } ... on RichOutput { data } } }`;

export async function startStockReceiver(): Promise<Receiver> {
  const stock = await startStockKernel(workerImage());
  await stock.run(PREPARATION);
  return {
    name: "stock ipykernel's own client",
    rate: async (wanted) => {
      const { printed, ms } = await stock.run(wanted.code);
      return rateOf(wanted, printed, ms);
    },
    close: () => stock.close(),
  };
}

export async function startChannelReceiver(): Promise<Receiver> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.address);
  await runner.run(PREPARATION);
  return {
    name: 'through the agent and its channel',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const ran = await runner.run(wanted.code);
      return rateOf(wanted, amountOf(ran), performance.now() - startedAt);
    },
    close: async () => {
      await runner.close();
      await agent.close();
    },
  };
}

function amountOf({ outputs }: Ran): number {
  let amount = 0;
  for (const output of outputs) {
    if (output.kind === 'stream') amount += output.text.length;
    if (output.kind === 'display' && 'image/png' in output.data) amount += 1;
  }
  return amount;
}

export async function startPreparedGateway(): Promise<TestGateway> {
  const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
  try {
    const { status, error } = await execute(gateway, BENCH_USER, PREPARATION);
    if (status !== 'OK') throw new Error(JSON.stringify(error));
    return gateway;
  } catch (error: unknown) {
    await gateway.destroy();
    throw error;
  }
}

/** A receiver that subscribes over an open WebSocket. */
export function subscriber(gateway: TestGateway): Receiver {
  const client = gateway.socket();
  return {
    name: 'to a subscriber of the gateway',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const { id } = await submit(gateway, BENCH_USER, wanted.code, {
        timeoutMs: TIMEOUT_MS,
        ...wanted.options,
      });
      let amount = 0;
      const events = client.iterate<{ output: FollowedOutput }>({
        query: FOLLOW,
        variables: { id },
      });
      for await (const { data } of events) {
        amount += data?.output.text?.length ?? 0;
        if (data?.output.data?.['image/png']) amount += 1;
      }
      return rateOf(wanted, amount, performance.now() - startedAt);
    },
    close: async () => await client.dispose(),
  };
}

interface FollowedOutput {
  readonly text?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const STORE = `mutation ($input: ExecuteInput!) { execute(input: $input) {
  status truncated outputBytes } }`;

interface Stored {
  readonly status: string;
  readonly truncated: boolean;
  readonly outputBytes: number;
}

/** A receiver that asks only for the end, so the answer comes when everything is committed. */
export function store(gateway: TestGateway): Receiver {
  return {
    name: 'until the gateway has stored it',
    rate: async (wanted) => {
      const startedAt = performance.now();
      const input = {
        userUuid: BENCH_USER,
        code: wanted.code,
        timeoutMs: TIMEOUT_MS,
        ...wanted.options,
      };
      const { data, errors } = await gateway.graphql<{ execute: Stored }>(STORE, {
        input,
      });
      const tookMs = performance.now() - startedAt;
      const stored = data?.execute;
      if (stored?.status !== 'OK' || stored.truncated || stored.outputBytes < LEAST_BYTES)
        throw new Error(JSON.stringify(errors ?? data));
      return rateOf(wanted, wanted.expected, tookMs);
    },
    close: async () => undefined,
  };
}
