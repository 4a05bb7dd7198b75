/** The answers that test/support/jupyterClients/everyMessage.py gets from Jupyter's own server and from the gateway. */
import { expect } from 'vitest';

const input = (code: unknown, execution_count: number) => [
  'execute_input',
  { code, execution_count },
];
const result = (text: string, count: number) => ['execute_result', { 'text/plain': text }, count];
const printed = (text: string) => ['stream', { name: 'stdout', text }];
const failed = (name: string, value: string) => ['error', name, value, true];
const okReply = (execution_count: number) => ({ status: 'ok', execution_count });
const errorReply = (ename: string, evalue: string, execution_count: number) => ({
  status: 'error',
  ename,
  evalue,
  execution_count,
});
const html = (text: string) => ({
  'text/plain': '<IPython.core.display.HTML object>',
  'text/html': text,
});
const told = (reply: unknown) => ({ iopub: [], reply });
const code = expect.any(String);
const FIRST = "quantity = 42; print('out'); quantity";
const BAD_SYNTAX = 'invalid syntax (cell.py, line 1)';

export const EVERY_ANSWER = {
  info: told({
    status: 'ok',
    protocol_version: '5.3',
    implementation: 'ipython',
    language: {
      name: 'python',
      version: expect.stringMatching(/^3\./),
      file_extension: '.py',
      mimetype: 'text/x-python',
    },
  }),
  comms: told({ status: 'ok', comms: {} }),
  first: {
    iopub: [input(FIRST, 1), printed('out\n'), result('42', 1)],
    reply: okReply(1),
  },
  shown: {
    iopub: [
      input(code, 2),
      ['display_data', html('<b>1</b>'), { display_id: 'one' }],
      ['update_display_data', html('<b>2</b>'), { display_id: 'one' }],
      ['clear_output', { wait: true }],
      printed('é😀\n'),
    ],
    reply: okReply(2),
  },
  input: {
    iopub: [input(code, 3), printed('name word\n')],
    reply: okReply(3),
    asked: [
      ['name? ', false],
      ['word? ', true],
    ],
  },
  silent: { iopub: [printed('seen\n')], reply: okReply(3) },
  // The result has the number of the next cell, and the reply that of the last one.
  unnumbered: { iopub: [input(code, 4), result('43', 4)], reply: okReply(3) },
  expressions: {
    iopub: [input('pass', 4)],
    reply: { ...okReply(4), good: { 'text/plain': '43' }, bad: 'NameError' },
  },
  error: {
    iopub: [input(code, 5), failed('KeyError', "'key'")],
    reply: errorReply('KeyError', "'key'", 5),
  },
  syntax: {
    iopub: [input('a b', 6), failed('SyntaxError', BAD_SYNTAX)],
    reply: errorReply('SyntaxError', BAD_SYNTAX, 6),
  },
  complete: told({ status: 'ok', cursor_start: 0, cursor_end: 5, matches: ['quantity'] }),
  inspect: told({ status: 'ok', found: true, text: 'Signature: len(obj, /)\nDocstri' }),
  unknown: told({ status: 'ok', found: false, text: '' }),
  whole: [
    told({ status: 'complete' }),
    told({ status: 'incomplete', indent: '    ' }),
    told({ status: 'invalid' }),
  ],
  history: told({ status: 'ok', history: [[0, 1, FIRST]] }),
  stopped: [
    {
      iopub: [input(code, 7), failed('ZeroDivisionError', 'division by zero')],
      reply: errorReply('ZeroDivisionError', 'division by zero', 7),
    },
    told({ status: 'aborted' }),
    told({ status: 'aborted' }),
  ],
  interrupted: [
    {
      iopub: [failed('KeyboardInterrupt', '')],
      reply: errorReply('KeyboardInterrupt', '', 8),
    },
    told({ status: 'ok' }),
  ],
  comm: ['busy', 'comm_close', 'idle'],
  after: {
    iopub: [input('quantity', 9), result('43', 9)],
    reply: okReply(9),
  },
  restarted: { status: 'ok', restart: true },
};

export const EVERY_TYPE = [
  'clear_output',
  'comm_close',
  'comm_info_reply',
  'complete_reply',
  'display_data',
  'error',
  'execute_input',
  'execute_reply',
  'execute_result',
  'history_reply',
  'input_request',
  'inspect_reply',
  'interrupt_reply',
  'is_complete_reply',
  'kernel_info_reply',
  'shutdown_reply',
  'status',
  'stream',
  'update_display_data',
];
