/** The input of executions, as an agent takes it (docs/internals/worker-protocol.md, "Input"). */
import { type HttpCall, Refusal, recordCalls } from './recordCalls.ts';
import type { ScriptedAgent } from './scriptedAgent.ts';

export interface InputAgent {
  /** All calls, in order. */
  readonly calls: readonly HttpCall[];
  /** What it has taken for the execution. */
  taken(id: string): string;
  isClosed(id: string): boolean;
  /** How many further bytes it takes. */
  room: number;
  /** While it is set, it takes input, and gives no answer. */
  isDumb: boolean;
}

interface Input {
  bytes: Buffer;
  isClosed: boolean;
}

export function takeInput(agent: ScriptedAgent): InputAgent {
  const inputs = new Map<string, Input>();
  const of = (id: string) => {
    const input = inputs.get(id) ?? { bytes: Buffer.alloc(0), isClosed: false };
    inputs.set(id, input);
    return input;
  };

  function take({ body }: HttpCall): unknown {
    const { msg_id: id = '', offset = 0, base64 = '', close } = body;
    const input = of(id);
    if (offset > input.bytes.length) return new Refusal(422, 'out_of_order');
    const sent = Buffer.from(base64, 'base64');
    const fresh = sent.subarray(input.bytes.length - offset).subarray(0, taker.room);
    if (!input.isClosed) input.bytes = Buffer.concat([input.bytes, fresh]);
    taker.room -= fresh.length;
    if (close && input.bytes.length === offset + sent.length) input.isClosed = true;
    return { known: true, accepted: input.bytes.length, closed: input.isClosed };
  }

  const { calls } = recordCalls(agent, (call) => {
    const given = take(call);
    return taker.isDumb ? null : given;
  });
  const taker: InputAgent = {
    calls,
    taken: (id) => of(id).bytes.toString('utf8'),
    isClosed: (id) => of(id).isClosed,
    room: Number.POSITIVE_INFINITY,
    isDumb: false,
  };
  return taker;
}
