/** Requests of a Jupyter client that the kernel itself answers, and the options with which a client's cell runs. */
import { describe, expect, it } from 'vitest';
import type { KernelAnswer } from '../../src/domain/kernelQuestion.ts';
import { cellOptions, kernelInfo } from '../../src/doors/jupyter/messages.ts';
import { QUESTIONS } from '../../src/doors/jupyter/questions.ts';

const past = { session: 0, line: 3, input: 'a', output: '1' };

describe('a request', () => {
  it.each([
    [
      'complete_request',
      { code: 'a😀b', cursor_pos: 2 },
      { type: 'complete', code: 'a😀b', cursor: 2 },
      { type: 'complete', matches: ['abc'], cursorStart: 0, cursorEnd: 2 },
      { status: 'ok', matches: ['abc'], cursor_start: 0, cursor_end: 2, metadata: {} },
      { status: 'ok', matches: [], cursor_start: 2, cursor_end: 2, metadata: {} },
    ],
    [
      'inspect_request',
      { code: 'a😀b', detail_level: 1 },
      { type: 'inspect', code: 'a😀b', cursor: 3, detail: 1 },
      { type: 'inspect', found: true, data: { 'text/plain': 'x' } },
      { status: 'ok', found: true, data: { 'text/plain': 'x' }, metadata: {} },
      { status: 'ok', found: false, data: {}, metadata: {} },
    ],
    [
      'is_complete_request',
      { code: 'if 1:' },
      { type: 'isComplete', code: 'if 1:' },
      { type: 'isComplete', status: 'incomplete', indent: '    ' },
      { status: 'incomplete', indent: '    ' },
      { status: 'unknown' },
    ],
    [
      'history_request',
      { hist_access_type: 'range', output: true, raw: false, start: 1, stop: 4, session: 0 },
      { type: 'history', access: 'range', raw: false, output: true, start: 1, stop: 4 },
      { type: 'history', entries: [past] },
      { status: 'ok', history: [[0, 3, ['a', '1']]] },
      { status: 'ok', history: [] },
    ],
    [
      'history_request',
      { hist_access_type: 'search', n: 5, pattern: 'a*', unique: true },
      { type: 'history', access: 'search', raw: true, output: false, count: 5, pattern: 'a*' },
      { type: 'history', entries: [past] },
      { status: 'ok', history: [[0, 3, 'a']] },
      { status: 'ok', history: [] },
    ],
  ] as const)(
    '%s becomes a question to the kernel, and the answer, or none, becomes the reply',
    (type, content, asked, answer, reply, empty) => {
      const kind = QUESTIONS.get(type);
      expect(kind?.question(content)).toMatchObject(asked);
      expect(kind?.reply(answer as KernelAnswer, content)).toEqual(reply);
      expect(kind?.reply(null, content)).toEqual(empty);
    },
  );
});

describe('the options of a cell', () => {
  it("are the protocol's defaults if the client leaves them out", () => {
    expect(cellOptions({})).toEqual({
      stopOnError: true,
      allowInput: true,
      silent: false,
      storeHistory: true,
      userExpressions: [],
    });
  });

  it('are passed on where they differ', () => {
    const content = { stop_on_error: false, allow_stdin: false, store_history: false };
    const expressions = { user_expressions: { b: 'a + 1' } };
    expect(cellOptions({ ...content, ...expressions })).toEqual({
      stopOnError: false,
      allowInput: false,
      silent: false,
      storeHistory: false,
      userExpressions: [{ name: 'b', code: 'a + 1' }],
    });
  });

  it('let a silent cell never stop other cells', () => {
    expect(cellOptions({ silent: true, store_history: true })).toMatchObject({
      silent: true,
      stopOnError: false,
    });
  });
});

it('A kernel that says nothing about itself is described as one of Python', () => {
  expect(kernelInfo(null)).toMatchObject({
    status: 'ok',
    protocol_version: '5.3',
    language_info: { name: 'python', file_extension: '.py' },
  });
});
