import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { Output } from '../../src/domain/output.ts';
import {
  type ExecutionProgress,
  type Received,
  receive,
  startProgress,
} from '../../src/kernel/execution.ts';
import type { KernelMessage } from '../../src/kernel/frames/messages.ts';
import {
  errorOutput,
  errorReply,
  frame,
  messageIn,
  okReply,
  status,
  stream,
  verdict,
} from '../support/frames.ts';
import { fc } from '../support/seeded.ts';

const ID = 'e1' as ExecutionId;
const mine = { parent: ID };
const LIMITS = { maxOutputBytes: 1_000_000 };

interface Told {
  readonly outputs: Output[];
  readonly outcomes: Received['done'][];
  readonly starts: number;
  readonly progress: ExecutionProgress;
}

function tell(messages: readonly KernelMessage[], limits = LIMITS, from = startProgress(ID)): Told {
  const outputs: Output[] = [];
  const outcomes: Received['done'][] = [];
  let progress = from;
  let starts = 0;
  for (const message of messages) {
    const step = receive(progress, message, limits);
    progress = step.progress;
    outputs.push(...step.outputs);
    if (step.started) starts += 1;
    if (step.done !== null) outcomes.push(step.done);
  }
  return { outputs, outcomes, starts, progress };
}

const told = (frames: readonly string[], limits = LIMITS) => tell(frames.map(messageIn), limits);
const seq = { ...mine, seq: 9, at: 3_000 };
const agentReply = (outcome: string, more = {}) => ({ ...seq, metadata: verdict(outcome, more) });

describe('the status table', () => {
  it('OK: the code ended', () => {
    const { outcomes, starts } = told([
      status('busy', seq),
      status('idle', seq),
      okReply(agentReply('finished')),
    ]);
    expect(starts).toBe(1);
    expect(outcomes).toEqual([
      {
        status: 'OK',
        errorName: null,
        errorValue: null,
        executionCount: 7,
        stateLost: false,
        cpuMs: 12.5,
        peakMemoryBytes: 4_096,
        startedAt: 1_000,
        finishedAt: 2_000,
        outputBytes: 3,
        storedOutputBytes: 0,
        truncated: false,
        exitCode: null,
        signal: null,
        files: null,
      },
    ]);
  });

  it('ERROR: the code raised an error, and the only error output is that of the kernel', () => {
    const { outputs, outcomes } = told([
      status('busy', seq),
      stream('before', seq),
      errorOutput('NameError', seq),
      status('idle', seq),
      errorReply('NameError', agentReply('finished')),
    ]);
    expect(outputs.map(({ kind }) => kind)).toEqual(['stream', 'error']);
    expect(outcomes).toMatchObject([{ status: 'ERROR', errorName: 'NameError', errorValue: 'v' }]);
  });

  it.each([
    ['kernel_died', 'KernelDied'],
    ['out_of_memory', 'OutOfMemory'],
  ])('ERROR: %s; the error output that the kernel could not send is added', (outcome, name) => {
    const { outputs, outcomes } = told([
      status('busy', seq),
      status('idle', seq),
      errorReply(name, agentReply(outcome, { state_lost: true, exit_code: -9 })),
    ]);
    expect(outputs).toEqual([{ kind: 'error', name, value: 'v', traceback: ['t'] }]);
    expect(outcomes).toMatchObject([
      { status: 'ERROR', errorName: name, stateLost: true, exitCode: -9 },
    ]);
  });

  it('ERROR: the error output is also added after one that the code had only shown', () => {
    const { outputs } = told([
      errorOutput('ValueError', seq),
      status('idle', seq),
      errorReply('KernelDied', agentReply('kernel_died')),
    ]);
    expect(outputs).toMatchObject([{ name: 'ValueError' }, { name: 'KernelDied' }]);
  });

  it.each([
    ['timeout', 'TIMEOUT', okReply],
    ['timeout', 'TIMEOUT', (o: object) => errorReply('KeyboardInterrupt', o)],
    ['timeout', 'TIMEOUT', (o: object) => errorReply('KernelReplaced', o)],
    ['interrupted', 'INTERRUPTED', okReply],
    ['interrupted', 'INTERRUPTED', (o: object) => errorReply('KeyboardInterrupt', o)],
  ])('%s is %s, whatever the code answered', (outcome, expected, reply) => {
    const { outputs, outcomes } = told([status('idle', seq), reply(agentReply(outcome))]);
    expect(outcomes).toMatchObject([{ status: expected, errorName: null, errorValue: null }]);
    expect(outputs).toEqual([]);
  });

  it('a KeyboardInterrupt that the code raises is an ERROR', () => {
    const reply = errorReply('KeyboardInterrupt', agentReply('finished'));
    expect(told([status('idle', seq), reply]).outcomes).toMatchObject([{ status: 'ERROR' }]);
  });

  it('interrupted while queued: it never started', () => {
    const { outcomes, starts } = told([
      status('idle', seq),
      errorReply('KeyboardInterrupt', agentReply('interrupted', { started_at: null })),
    ]);
    expect(outcomes).toMatchObject([{ status: 'INTERRUPTED', startedAt: null }]);
    expect(starts).toBe(0);
  });
});

describe('a command', () => {
  const COMMAND = { ...LIMITS, isCommand: true };
  const ended = (more: object, outcome = 'finished') =>
    told([status('busy', seq), status('idle', seq), okReply(agentReply(outcome, more))], COMMAND);

  it('is OK with exit code 0, and an ERROR with any other one', () => {
    const fine = ended({ exit_code: 0, signal: null });
    expect(fine.outcomes).toMatchObject([{ status: 'OK', exitCode: 0, errorName: null }]);
    expect(fine.outputs).toEqual([]);
    const failed = ended({ exit_code: 3, signal: null });
    const error = { errorName: 'CommandFailed', errorValue: 'exit code 3' };
    expect(failed.outcomes).toMatchObject([
      { status: 'ERROR', exitCode: 3, signal: null, ...error },
    ]);
    expect(failed.outputs).toEqual([
      { kind: 'error', name: 'CommandFailed', value: 'exit code 3', traceback: [] },
    ]);
  });

  it('is an ERROR if a signal ended it, or if nobody knows how it ended', () => {
    const killed = ended({ exit_code: null, signal: 'SIGKILL' });
    expect(killed.outcomes).toMatchObject([
      { status: 'ERROR', exitCode: null, signal: 'SIGKILL', errorValue: 'signal SIGKILL' },
    ]);
    expect(ended({ exit_code: null }).outcomes).toMatchObject([{ status: 'ERROR' }]);
  });

  it('keeps its exit code when it was interrupted or reached its limit', () => {
    for (const [outcome, expected] of [
      ['timeout', 'TIMEOUT'],
      ['interrupted', 'INTERRUPTED'],
    ] as const) {
      const { outcomes, outputs } = ended({ exit_code: 5, signal: null }, outcome);
      expect(outcomes).toMatchObject([{ status: expected, exitCode: 5, errorName: null }]);
      expect(outputs).toEqual([]);
    }
  });

  it('has its process id when it begins, which a cell never has', () => {
    const busy = messageIn(frame('status', { execution_state: 'busy', pid: 7 }, seq));
    const begun = receive(startProgress(ID), busy, COMMAND);
    expect(begun).toMatchObject({ started: true, pid: 7 });
    expect(receive(begun.progress, busy, COMMAND)).not.toHaveProperty('pid');
    expect(receive(startProgress(ID), busy, LIMITS)).not.toHaveProperty('pid');
  });

  it('that could not be started is an ERROR that never started', () => {
    const reply = errorReply('CommandNotStarted', agentReply('finished', { started_at: null }));
    const { outcomes, starts } = told([status('idle', seq), reply], COMMAND);
    expect(outcomes).toMatchObject([
      { status: 'ERROR', errorName: 'CommandNotStarted', startedAt: null },
    ]);
    expect(starts).toBe(0);
  });

  it('counts bytes that are not UTF-8 as they are', () => {
    const bytes = Buffer.from([0xff, 0xfe, 0xfd]);
    const content = { name: 'stdout', text: 'any', base64: bytes.toString('base64') };
    const piece = frame('stream', content, seq);
    expect(told([piece], { ...COMMAND, maxOutputBytes: 64 }).progress.keptBytes).toBe(3);
  });
});

describe('the end', () => {
  it('comes with the reply, and not before', () => {
    const frames = [status('busy', mine), stream('héllo', mine), status('idle', mine)];
    expect(told(frames).outcomes).toEqual([]);
    expect(told([...frames, okReply(mine)]).outcomes).toMatchObject([
      { status: 'OK', startedAt: 5_000, finishedAt: 5_000, outputBytes: 6, cpuMs: null },
    ]);
  });

  it('reports an abort as an error', () => {
    const aborted = frame('execute_reply', { status: 'aborted' }, mine);
    expect(told([status('idle', mine), aborted]).outcomes).toMatchObject([
      { status: 'ERROR', errorName: 'Aborted' },
    ]);
  });
});

describe('what changes nothing', () => {
  it('includes messages with another parent or none, and an agent that restarts a kernel', () => {
    const before = told([status('busy', seq)]);
    const strangers = [
      { parent: 'e2', seq: 2 },
      { parent: null, seq: 2 },
    ].flatMap((options) => [
      status('busy', options),
      status('idle', options),
      status('restarting', options),
      stream('x', options),
      okReply(options),
    ]);
    const after = tell(strangers.map(messageIn), LIMITS, before.progress);
    expect(after).toEqual({ outputs: [], outcomes: [], starts: 0, progress: before.progress });
  });

  it('includes everything after the end', () => {
    const before = told([status('idle', seq), okReply(agentReply('finished'))]);
    const more = [okReply(seq), status('idle', seq), stream('x', seq), status('restarting')];
    const after = tell(more.map(messageIn), LIMITS, before.progress);
    expect(after).toEqual({ outputs: [], outcomes: [], starts: 0, progress: before.progress });
  });

  it('includes a second reply', () => {
    const { outcomes } = told([errorReply('A', mine), okReply(mine)]);
    expect(outcomes).toMatchObject([{ status: 'ERROR', errorName: 'A' }]);
  });
});

describe('the output limit', () => {
  const limits = { maxOutputBytes: 1_000 };

  it('drops output past it, reports that once before the end, and keeps the error', () => {
    const { outputs, outcomes } = told(
      [
        stream('a'.repeat(500), mine),
        stream('b'.repeat(600), mine),
        stream('c', mine),
        frame('cellhouse_gap', { reason: 'output_limit', dropped_bytes: 50 }, mine),
        errorOutput('E', mine),
        errorReply('E', mine),
        status('idle', mine),
      ],
      limits,
    );
    expect(outputs).toEqual([
      { kind: 'stream', name: 'stdout', text: 'a'.repeat(500) },
      { kind: 'gap', reason: 'output_limit', droppedBytes: 600 + 1 + 50 + 3 },
      { kind: 'error', name: 'E', value: 'v', traceback: ['t'] },
    ]);
    expect(outcomes).toMatchObject([
      {
        truncated: true,
        outputBytes: 500 + 600 + 1 + 50 + 3,
        // The texts of the three outputs above, and 64 bytes for each output.
        storedOutputBytes: 500 + 3 + 3 * 64,
      },
    ]);
  });

  it('may be used up exactly', () => {
    const { outcomes } = told(
      [...[500, 500].map((n) => stream('a'.repeat(n), mine)), okReply(mine), status('idle', mine)],
      limits,
    );
    expect(outcomes).toMatchObject([
      { truncated: false, outputBytes: 1_000, storedOutputBytes: 1_000 + 2 * 64 },
    ]);
  });

  it('counts each value in the data of an output, since values take far more memory than JSON', () => {
    const lists = { 'application/json': Array.from({ length: 7 }, () => [0]) };
    const shown = (data: object) => frame('display_data', { data, metadata: {} }, mine);
    // 1 output and 14 values count as 15 x 64 bytes, whatever the size of their JSON.
    const { outputs, progress } = told([shown(lists), shown(lists)], { maxOutputBytes: 1_024 });
    expect(outputs).toHaveLength(1);
    expect(progress).toMatchObject({ isFull: true, isTruncated: true });
    const texts = { 'text/plain': 'x'.repeat(400) };
    expect(told([shown(texts), shown(texts)], { maxOutputBytes: 1_024 }).outputs).toHaveLength(2);
  });

  it('keeps requests for input up to a limit of their own, after which all input counts as secret', () => {
    const ask = (password: boolean) =>
      frame('cellhouse_input_request', { prompt: 'p'.repeat(200), password }, mine);
    const full = [stream('a'.repeat(1_000), mine), stream('b', mine)];
    const asked = (...flags: boolean[]) =>
      told([...full, ...flags.map(ask), okReply(mine), status('idle', mine)], limits);
    const { outputs, outcomes } = asked(false, true, false);
    const prompt = `${'p'.repeat(100)}… [100 more characters]`;
    expect(outputs.slice(1)).toEqual([
      ...[false, true, false].map((password) => ({ kind: 'input', prompt, password })),
      { kind: 'gap', reason: 'output_limit', droppedBytes: 1 },
    ]);
    expect(outcomes).toMatchObject([
      { truncated: true, outputBytes: 1_001 + 3 * 200, storedOutputBytes: 1_000 + 5 * 64 },
    ]);
    const { outputs: many } = asked(...Array(1_500).fill(false));
    const requests = many.flatMap((output) => (output.kind === 'input' ? [output.password] : []));
    expect(requests).toEqual([...Array(999).fill(false), true]);
  });

  it('also bounds the number of empty outputs', () => {
    const clears = Array.from({ length: 100 }, () => frame('clear_output', {}, mine));
    const { outputs } = told([...clears, okReply(mine), status('idle', mine)], limits);
    expect(outputs.length).toBeLessThan(20);
    expect(outputs.at(-1)).toMatchObject({ kind: 'gap' });
  });

  it('counts text as UTF-8, other values as JSON', () => {
    const data = { 'text/plain': 'é', 'application/json': { a: 1 } };
    const { outcomes } = told([
      frame('display_data', { data, metadata: {} }, mine),
      okReply(mine),
      status('idle', mine),
    ]);
    expect(outcomes).toMatchObject([
      { outputBytes: 10 + 2 + 16 + 7, storedOutputBytes: 35 + 2 * 64 },
    ]);
  });

  it('passes on gaps that the agent reports', () => {
    const { outputs, outcomes } = told([
      frame('cellhouse_gap', { reason: 'replay_overflow', dropped_bytes: 8 }, seq),
      status('idle', seq),
      okReply(agentReply('finished', { dropped_bytes: 8 })),
    ]);
    expect(outputs).toEqual([{ kind: 'gap', reason: 'replay_overflow', droppedBytes: 8 }]);
    expect(outcomes).toMatchObject([{ truncated: true }]);
  });
});

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('\u0000', '\ud800', '\udc00\ud800'),
);
const parent = fc.constantFrom(ID, ID, ID, ID, 'e2', null);
const anyMessage: fc.Arbitrary<KernelMessage> = fc
  .record({
    parent,
    seq: fc.option(fc.integer({ min: 1, max: 99 }), { nil: undefined }),
    at: fc.integer({ min: 0, max: 9_999 }),
    text: oddText,
    outcome: fc.option(
      fc.constantFrom('finished', 'timeout', 'interrupted', 'kernel_died', 'out_of_memory'),
      { nil: 'none' },
    ),
    kind: fc.constantFrom(
      ...(['busy', 'idle', 'restarting', 'dead'] as const),
      ...(['stream', 'stream', 'stream', 'clear', 'gap', 'rich', 'error', 'ok', 'failed'] as const),
    ),
  })
  .map(({ kind, text, outcome, ...rest }) => {
    const options = rest.seq === undefined ? { parent: rest.parent } : { ...rest, seq: rest.seq };
    const metadata = verdict(outcome);
    switch (kind) {
      case 'stream':
        return messageIn(stream(text, options));
      case 'clear':
        return messageIn(frame('clear_output', {}, options));
      case 'gap':
        return messageIn(frame('cellhouse_gap', { reason: text, dropped_bytes: 3 }, options));
      case 'rich':
        return messageIn(frame('display_data', { data: { 'text/plain': text } }, options));
      case 'error':
        return messageIn(errorOutput(text, options));
      case 'ok':
        return messageIn(okReply({ ...options, metadata }));
      case 'failed':
        return messageIn(errorReply(text, { ...options, metadata }));
      default:
        return messageIn(status(kind, options));
    }
  });
const history = fc.array(anyMessage, { maxLength: 30 });
const anyLimit = fc.constantFrom(0, 100, 300, 1_000_000);

describe('for any messages', () => {
  it('a successor that continues from any stored progress gives the same as one that saw everything', () => {
    fc.assert(
      fc.property(history, anyLimit, fc.array(fc.nat(30)), (messages, maxOutputBytes, cuts) => {
        const limits = { maxOutputBytes };
        const whole = tell(messages, limits);
        const outputs: Output[] = [];
        const outcomes: Received['done'][] = [];
        let progress = startProgress(ID);
        let from = 0;
        for (const cut of [...new Set(cuts), messages.length].sort((a, b) => a - b)) {
          const stored = JSON.parse(JSON.stringify(progress)) as ExecutionProgress;
          const part = tell(messages.slice(from, cut), limits, stored);
          outputs.push(...part.outputs);
          outcomes.push(...part.outcomes);
          progress = part.progress;
          from = Math.max(from, cut);
        }
        expect({ outputs, outcomes, progress }).toEqual({
          outputs: whole.outputs,
          outcomes: whole.outcomes,
          progress: whole.progress,
        });
      }),
    );
  });

  it('the stored form holds nothing that jsonb refuses', () => {
    fc.assert(
      fc.property(history, (messages) => {
        const json = JSON.stringify(tell(messages).progress);
        expect(json).not.toMatch(/(?<!\\)(\\\\)*\\u(0000|d[89a-f])/i);
      }),
    );
  });

  it('it ends at most once, an ERROR has its error output, and every byte is accounted for', () => {
    fc.assert(
      fc.property(history, anyLimit, (messages, maxOutputBytes) => {
        const { outputs, outcomes, starts, progress } = tell(messages, { maxOutputBytes });
        expect(outcomes.length).toBeLessThanOrEqual(1);
        expect(starts).toBeLessThanOrEqual(1);
        expect(progress.keptBytes).toBeLessThanOrEqual(maxOutputBytes);
        expect(progress.keptOutputs * 64).toBeLessThanOrEqual(maxOutputBytes);
        const [outcome] = outcomes;
        if (outcome?.status === 'ERROR')
          expect(outputs.filter(({ kind }) => kind === 'error').at(-1)).toMatchObject({
            name: outcome.errorName,
          });
        if (outcome && outputs.some(({ kind }) => kind === 'gap'))
          expect(outcome.truncated).toBe(true);
      }),
    );
  });

  it('messages of other executions change nothing', () => {
    fc.assert(
      fc.property(history, (messages) => {
        const strangers = messages.filter((message) => message.parentId !== ID);
        expect(tell(strangers).progress).toEqual(startProgress(ID));
      }),
    );
  });
});
