import { describe, expect, it } from 'vitest';
import type { TracedCall, TraceEvent } from '../../bench/trace/trace.ts';
import { stagesOf } from '../../bench/trace/traceStages.ts';

const CALL_MS = 100;

/** A call whose stages take 1, 2, 3, ... 11 ms, and unrelated events in the meantime. */
function traceOf(sentAt: number): { call: TracedCall; events: TraceEvent[] } {
  const event = (
    after: number,
    peer: TraceEvent['peer'],
    way: TraceEvent['way'],
    { socket = 0, madeAt = [] as readonly number[] } = {},
  ): TraceEvent => ({
    at: sentAt + after,
    socket: socket || { http: 1, commits: 2, reads: 3, agent: 4 }[peer],
    peer,
    way,
    madeAt: madeAt.map((made) => sentAt + made),
  });
  return {
    call: { sentAt, answeredAt: sentAt + 66 },
    events: [
      event(1, 'http', 'read'),
      event(3, 'commits', 'write'),
      event(6, 'commits', 'read'),
      // A ping of another worker.
      event(7, 'agent', 'write', { socket: 9 }),
      event(10, 'agent', 'write'),
      event(16, 'agent', 'read', { madeAt: [15] }),
      event(28, 'agent', 'read', { madeAt: [20, 21] }),
      event(36, 'commits', 'write'),
      event(45, 'commits', 'read'),
      event(46, 'agent', 'write'),
      event(47, 'reads', 'write'),
      event(48, 'reads', 'read'),
      event(55, 'http', 'write'),
    ],
  };
}

describe('the stages of an execute', () => {
  const traces = Array.from({ length: 20 }, (_, n) => traceOf(n * CALL_MS));
  const calls = traces.map(({ call }) => call);
  const events = traces.flatMap((trace) => trace.events);

  it('are the times between reads and writes, and add up to the whole', () => {
    const values = stagesOf(calls, events).map(({ value }) => value);
    expect(values).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 66, 20]);
  });

  it('leave out a call whose trace has other steps', () => {
    const answers = (at: number) => (event: TraceEvent) =>
      event.at < at * CALL_MS || event.at > (at + 1) * CALL_MS || event.peer !== 'commits';
    const [traced] = stagesOf(calls, events.filter(answers(3))).slice(-1);
    expect(traced?.value).toBe(19);
  });

  it('are not reported if most calls left no complete trace', () => {
    const silent = events.filter(({ peer }) => peer !== 'agent');
    expect(() => stagesOf(calls, silent)).toThrow('Only 0 of 20 calls');
  });
});
