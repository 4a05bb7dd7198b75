/** Input reaches the agent once and in order, even if gateways are replaced and answers lost. The agent is a model. */

import { pino } from 'pino';
import { expect, it } from 'vitest';
import { type Execution, evolveExecution } from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { ReadInput } from '../../src/events/queries/executionQueries.ts';
import type { CallAgent } from '../../src/kernel/agent/createAgentCalls.ts';
import { MAX_CALL_INPUT_BYTES } from '../../src/kernel/agent/operations.ts';
import { createInputDelivery, type InputDelivery } from '../../src/worker/inputDelivery.ts';
import { executionRequested } from '../../testkit/events.ts';
import { fc } from '../support/seeded.ts';

const append = executionRequested({ allowInput: true });
const ID = append.id as ExecutionId;
const logger = pino({ level: 'silent' });

interface Call {
  readonly msgId: string;
  readonly offset: number;
  readonly bytes: Buffer;
  readonly close: boolean;
}

/** The outcome of one call. */
type Fate = 'answered' | 'lost' | 'answer lost' | 'in part' | 'full';

/** The agent of docs/internals/worker-protocol.md, "Input". */
function createAgent(fates: Iterator<Fate>) {
  const agent = { taken: '', isClosed: false, isGone: false, calls: [] as Call[] };
  const call = async (call: Call) => {
    agent.calls.push(call);
    expect(call.msgId).toBe(ID);
    expect(call.bytes.length).toBeLessThanOrEqual(MAX_CALL_INPUT_BYTES);
    await new Promise(setImmediate);
    if (agent.isGone) return { known: false, accepted: 0, closed: false };
    const fate: Fate = fates.next().value ?? 'answered';
    if (fate === 'lost') throw new Error('The call was lost.');
    take(call, fate);
    if (fate === 'answer lost') throw new Error('The answer was lost.');
    return { known: true, accepted: agent.taken.length, closed: agent.isClosed };
  };
  function take({ offset, bytes, close }: Call, fate: Fate): void {
    if (offset > agent.taken.length) throw new Error('out_of_order');
    const rest = bytes.subarray(agent.taken.length - offset);
    const room =
      fate === 'full' ? 0 : fate === 'in part' ? Math.ceil(rest.length / 2) : rest.length;
    if (!agent.isClosed) agent.taken += rest.subarray(0, room).toString('latin1');
    if (close && agent.taken.length === offset + bytes.length) agent.isClosed = true;
  }
  return { agent, call: ((_name: string, input: Call) => call(input)) as unknown as CallAgent };
}

/** Pieces of input as recorded, with a gateway that can be replaced. */
function createWorld(fates: readonly Fate[] = []) {
  const pieces: ReadInput[] = [];
  const { agent, call } = createAgent(fates[Symbol.iterator]());
  let execution = append.events.reduce<Execution | null>(
    evolveExecution as never,
    null,
  ) as Execution;
  const world = { isRunning: true, reads: [] as number[] };
  const start = (): InputDelivery => {
    const delivery = createInputDelivery({
      logger,
      call,
      isRunning: () => world.isRunning,
      readInput: async (id, { start, end }, from) => {
        expect(id).toBe(ID);
        const found = pieces.filter(
          (piece) =>
            piece.version >= from && piece.offset < end && piece.offset + piece.length > start,
        );
        world.reads.push(found.length);
        return found.slice(0, 3);
      },
    });
    if (world.isRunning) delivery.begun(execution);
    return delivery;
  };
  let delivery = start();
  return {
    agent,
    world,
    begun: () => {
      world.isRunning = true;
      delivery.begun(execution);
    },
    send: (text: string, isClosed = false) => {
      const offset = execution.inputBytes;
      const bytes = Buffer.from(text, 'latin1');
      execution = {
        ...execution,
        version: execution.version + 1,
        inputBytes: offset + bytes.length,
        inputClosed: isClosed,
      };
      if (bytes.length > 0)
        pieces.push({ version: execution.version, offset, length: bytes.length, bytes });
      delivery.recorded(ID, { bytes: execution.inputBytes, isClosed });
    },
    takeOver: () => {
      delivery.close();
      delivery = start();
    },
    end: () => {
      world.isRunning = false;
      delivery.ended(ID);
    },
    close: () => delivery.close(),
  };
}

const text = (length: number) => Array.from({ length }, (_, n) => String(n % 10)).join('');

it('the agent gets all input once and in order, and its end, whatever calls are lost', async () => {
  const fate = fc.constantFrom<Fate>('answered', 'lost', 'answer lost', 'in part', 'full');
  const step = fc.oneof(
    fc.record({
      type: fc.constant('send'),
      text: fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 }),
    }),
    fc.record({ type: fc.constantFrom('take over', 'wait'), text: fc.constant('') }),
  );
  const run = fc.asyncProperty(
    fc.array(step, { maxLength: 20 }),
    fc.array(fate, { maxLength: 4 }),
    async (steps, fates) => {
      const { agent, send, takeOver, close } = createWorld(fates);
      let all = '';
      for (const each of steps) {
        if (each.type === 'take over') takeOver();
        else if (each.type === 'wait') await new Promise(setImmediate);
        else {
          all += each.text;
          send(each.text);
        }
      }
      send('', true);
      await expect
        .poll(() => [agent.taken, agent.isClosed], { timeout: 5_000, interval: 5 })
        .toEqual([all, true]);
      close();
    },
  );
  await fc.assert(run, { numRuns: 30 });
}, 60_000);

it('nothing is sent before the execution runs, and then all of it', async () => {
  const { agent, world, send, begun, close } = createWorld();
  world.isRunning = false;
  send('early ');
  send('bird', true);
  await new Promise(setImmediate);
  expect(agent.calls).toEqual([]);
  begun();
  await expect.poll(() => agent.isClosed).toBe(true);
  expect(agent.taken).toBe('early bird');
  close();
});

it('input that is larger than a call is sent in several', async () => {
  const { agent, send, close } = createWorld();
  const long = text(2.5 * MAX_CALL_INPUT_BYTES);
  send(long);
  await expect.poll(() => agent.taken.length).toBe(long.length);
  expect(agent.taken).toBe(long);
  close();
});

it('a successor asks for the count and sends only what follows', async () => {
  const { agent, send, takeOver, close } = createWorld();
  send('first ');
  await expect.poll(() => agent.taken).toBe('first ');
  const before = agent.calls.length;
  takeOver();
  send('second');
  await expect.poll(() => agent.taken).toBe('first second');
  const [asked, sent] = agent.calls.slice(before).map(({ bytes }) => bytes.toString());
  expect([asked, sent]).toEqual(['', 'second']);
  close();
});

it('each piece is read once, however many came before', async () => {
  const { agent, world, send, close } = createWorld();
  for (let n = 1; n <= 50; n += 1) {
    send('x');
    await expect.poll(() => agent.taken.length, { interval: 1 }).toBe(n);
  }
  // A reader continues with the event of the last piece that it has read. So it reads that piece and the new one.
  expect(Math.max(...world.reads)).toBeLessThanOrEqual(2);
  close();
});

it('the delivery ends when the agent no longer knows the execution, and when the execution ends', async () => {
  const { agent, send, end, close } = createWorld();
  agent.isGone = true;
  send('a');
  await expect.poll(() => agent.calls.length).toBe(1);
  await new Promise(setImmediate);
  end();
  send('b');
  await new Promise(setImmediate);
  expect(agent.calls).toHaveLength(1);
  close();
});
