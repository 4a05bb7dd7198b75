/** The messages that a Jupyter client gets about an execution. */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { Output } from '../../src/domain/output.ts';
import { createCellMessages } from '../../src/doors/jupyter/cellMessages.ts';
import {
  askerOf,
  endOfCell,
  keyOf,
  outputMessage,
  parentHeaderOf,
} from '../../src/doors/jupyter/messages.ts';
import { jupyterTime } from '../../src/doors/jupyter/rest.ts';
import { queuedExecution } from '../support/states.ts';

const at = new Date('2026-01-02T03:04:05.678Z');
const asker = { msg_id: 'm', session: 's' };
const execution: Execution = {
  ...queuedExecution(),
  idempotencyKey: keyOf(asker, 'kernel'),
  startedAt: at,
  finishedAt: at,
  executionCount: 7,
  status: 'OK',
};
const header = parentHeaderOf(execution);
const error = { kind: 'error', name: 'ValueError', value: 'x', traceback: ['a', 'b'] } as const;

/** The types of the messages for an execution with these outputs, and the last reply. */
function told(outputs: readonly Output[], ended: Execution, isOurs = true) {
  const messages = createCellMessages();
  const asked = { header, isOurs };
  const all = [
    ...messages.of({ type: 'begun', execution, code: '1' }, asked),
    ...outputs.flatMap((output, nth) => {
      const item = { executionId: execution.id, seq: nth + 1, at, output };
      return messages.of({ type: 'output', execution, item }, asked);
    }),
    ...messages.of({ type: 'ended', execution: ended }, asked),
  ];
  expect(all.every(({ parent }) => parent === header)).toBe(true);
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
  return {
    types: all.map(({ sent }) => sent.type),
    reply: all.find(({ sent }) => sent.channel === 'shell')?.sent.content,
  };
}

describe('the messages about an execution', () => {
  it('have its state, its code and its outputs, and its reply only for the client that asked', () => {
    const outputs: Output[] = [{ kind: 'stream', name: 'stdout', text: 'a' }];
    const types = ['status', 'execute_input', 'stream', 'execute_reply', 'status'];
    expect(told(outputs, execution)).toEqual({
      types,
      reply: { status: 'ok', execution_count: 7, payload: [], user_expressions: {} },
    });
    expect(told(outputs, execution, false)).toEqual({
      types: types.filter((type) => type !== 'execute_reply'),
      reply: undefined,
    });
  });

  it('have the error of its outputs only once', () => {
    expect(told([error], { ...execution, status: 'ERROR' })).toEqual({
      types: ['status', 'execute_input', 'error', 'execute_reply', 'status'],
      reply: {
        status: 'error',
        execution_count: 7,
        ename: 'ValueError',
        evalue: 'x',
        traceback: ['a', 'b'],
      },
    });
  });

  it('have a request for input only for the client that asked', () => {
    const input: Output = { kind: 'input', prompt: 'name', password: false };
    expect(told([input], execution).types).toContain('input_request');
    expect(told([input], execution, false).types).not.toContain('input_request');
  });

  it.each([
    ['TIMEOUT', 'TimeoutError'],
    ['INTERRUPTED', 'KeyboardInterrupt'],
    ['WORKER_LOST', 'DeadKernelError'],
  ] as const)('have an error that no output has, if it ended as %s', (ended, ename) => {
    const { types, reply } = told([], { ...execution, status: ended });
    expect(types).toEqual(['status', 'execute_input', 'error', 'execute_reply', 'status']);
    expect(reply).toMatchObject({ status: 'error', ename });
  });

  it('say that it was aborted if it never began', () => {
    const messages = createCellMessages();
    const cancelled: Execution = { ...execution, status: 'CANCELLED', startedAt: null };
    const all = messages.of({ type: 'ended', execution: cancelled }, { header, isOurs: true });
    expect(all.map(({ sent }) => sent.content)).toEqual([
      { execution_state: 'busy' },
      { status: 'aborted' },
      { execution_state: 'idle' },
    ]);
  });
});

it('A cell outside of the history shows the number of the next cell, and its reply has the number before it', () => {
  const messages = createCellMessages();
  const told: Execution = { ...execution, options: { storeHistory: false } };
  const asked = { header, isOurs: true };
  const [, input] = messages.of({ type: 'begun', execution: told, code: '1' }, asked);
  expect(input?.sent.content).toEqual({ code: '1', execution_count: 7 });
  const [reply] = messages.of({ type: 'ended', execution: told }, asked);
  expect(reply?.sent.content).toMatchObject({ status: 'ok', execution_count: 6 });
});

describe('a time limit', () => {
  it('is reported even if the output shows the interrupt that ended the code', () => {
    const shown = { ename: 'KeyboardInterrupt', evalue: '', traceback: [] };
    const { reply, unshown } = endOfCell(
      { ...execution, status: 'TIMEOUT' },
      { shown, expressions: {}, count: 7 },
    );
    expect(reply).toMatchObject({ status: 'error', ename: 'TimeoutError' });
    expect(unshown?.ename).toBe('TimeoutError');
  });
});

describe('an output becomes', () => {
  const rich = { data: { 'text/plain': '1' }, metadata: {}, displayId: 'd', executionCount: 3 };
  it.each([
    [{ kind: 'display', ...rich }, 'display_data', { transient: { display_id: 'd' } }],
    [{ kind: 'update', ...rich }, 'update_display_data', { transient: { display_id: 'd' } }],
    [{ kind: 'result', ...rich }, 'execute_result', { execution_count: 3, data: rich.data }],
    [{ kind: 'clear', wait: true }, 'clear_output', { wait: true }],
    [error, 'error', { ename: 'ValueError', evalue: 'x', traceback: ['a', 'b'] }],
    [{ kind: 'gap', reason: 'output_limit', droppedBytes: 5 }, 'stream', { name: 'stderr' }],
  ] as const)('%j', (output, type, content) => {
    const sent = outputMessage(output, 9);
    expect(sent.type).toBe(type);
    expect(sent.content).toMatchObject(content);
  });
});

describe('the request that an execution answers', () => {
  it('is in its idempotency key', () => {
    expect(askerOf({ idempotencyKey: keyOf(asker, 'kernel') })).toEqual(asker);
    expect(header).toMatchObject({ ...asker, msg_type: 'execute_request' });
  });

  it('has another key at another kernel', () => {
    expect(keyOf(asker, 'one')).not.toBe(keyOf(asker, 'other'));
  });

  it.each([
    [null],
    ['x'],
    ['jupyter:'],
    ['jupyter:{}'],
    ['jupyter:[1,2]'],
    ['jupyter:["a"]'],
    ['jupyter:["a","b"]'],
    ['jupyter:[1,2,3]'],
    ['jupyter:["a","b","c","d"]'],
  ])('is not of this door if the key is %j', (idempotencyKey) => {
    expect(askerOf({ idempotencyKey })).toBeNull();
    expect(parentHeaderOf({ ...execution, idempotencyKey }).msg_id).toBe(execution.id);
  });
});

it('A time has six digits of a second, which clients of the gateway protocol need', () => {
  expect(jupyterTime(at)).toBe('2026-01-02T03:04:05.678000Z');
});
