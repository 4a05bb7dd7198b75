/** How the interpreter of the E2B door translates the outputs and the end of a cell. */
import { describe, expect, it } from 'vitest';
import type { Output } from '../../src/domain/output.ts';
import {
  createCellEvents,
  createJoinPrints,
  type PrintEvent,
  resultEvent,
} from '../../src/doors/e2b/interpreter/cellEvents.ts';
import {
  cellOf,
  contextName,
  requireLanguage,
  shownContext,
} from '../../src/doors/e2b/interpreter/contexts.ts';
import { asciiJson } from '../../src/doors/e2b/interpreter/eventStream.ts';
import { executionRow } from '../support/memoryService.ts';

const AT = new Date('2026-01-31T12:00:00.000Z');

/** The events of a cell with these outputs and this end. */
function eventsOf(
  outputs: readonly Output[],
  end: Parameters<typeof executionRow>[0] = {},
  isContextOpen = true,
) {
  const cell = createCellEvents('python');
  const execution = executionRow(end);
  return [
    ...cell.begun(execution),
    ...outputs.flatMap((output) => cell.output({ output, at: AT })),
    ...cell.ended(execution, isContextOpen),
  ];
}

const rich = (kind: 'result' | 'display' | 'update', data: Record<string, unknown>) =>
  ({ kind, data, metadata: {}, displayId: null, executionCount: 1 }) as const;
const print = (text: string, type: PrintEvent['type'] = 'stdout'): PrintEvent => ({
  type,
  text,
  timestamp: AT.toISOString(),
});
const NUMBER = { type: 'number_of_executions', execution_count: 1 };
const END = { type: 'end_of_execution' };
const error = (name: string, value: string, traceback = '') => ({
  type: 'error',
  name,
  value,
  traceback,
});

describe('the events of a cell', () => {
  it('are its number, what it prints, its results in order, and the end', () => {
    const outputs = [
      { kind: 'stream', name: 'stdout', text: 'out\n' },
      { kind: 'stream', name: 'stderr', text: 'err\n' },
      rich('display', { 'text/plain': 'shown' }),
      rich('result', { 'text/plain': '2' }),
    ] as const;
    expect(eventsOf(outputs)).toEqual([
      NUMBER,
      print('out\n'),
      print('err\n', 'stderr'),
      { type: 'result', text: 'shown', is_main_result: false },
      { type: 'result', text: '2', is_main_result: true },
      END,
    ]);
  });

  it('have the execution count at the end if it is known only then, and never twice', () => {
    const cell = createCellEvents('python');
    expect(cell.begun({ executionCount: null })).toEqual([]);
    expect(cell.ended(executionRow({ executionCount: 7 }), true)).toEqual([
      { ...NUMBER, execution_count: 7 },
      END,
    ]);
  });

  it('leave out what clients of E2B do not know', () => {
    const outputs = [{ kind: 'clear', wait: true }, rich('update', { 'text/plain': 'x' })] as const;
    expect(eventsOf(outputs)).toEqual([NUMBER, END]);
  });

  it('have one error, with a traceback that is one text without colours', () => {
    const shown = (name: string) =>
      ({
        kind: 'error',
        name,
        value: 'v',
        traceback: ['\u001b[0;31mone\u001b[0m', 'two'],
      }) as const;
    expect(eventsOf([shown('A'), shown('B')], { status: 'ERROR' })).toEqual([
      NUMBER,
      error('A', 'v', 'one\ntwo'),
      END,
    ]);
  });

  it.each([
    [
      'a kernel that died',
      { status: 'ERROR', errorName: 'KernelDied', errorValue: 'by signal 9' },
      'KernelDied',
      'by signal 9',
    ],
    [
      'a time limit',
      { status: 'TIMEOUT', timeoutMs: 5 },
      'TimeoutError',
      'The code did not end within its limit of 5 ms.',
    ],
    ['an interrupt', { status: 'INTERRUPTED' }, 'KeyboardInterrupt', ''],
    [
      'a restart',
      { status: 'INTERRUPTED', stateLost: true },
      'ContextRestarting',
      'Context was restarted',
    ],
    ['a cancellation', { status: 'CANCELLED' }, 'ExecutionAborted', 'Execution was aborted'],
  ] as const)('report %s that no output has reported', (_what, end, name, value) => {
    expect(eventsOf([], end)).toEqual([NUMBER, error(name, value), END]);
  });

  it.each(['INTERRUPTED', 'CANCELLED'] as const)(
    'report that the context was deleted, if the code ends as %s',
    (status) => {
      const [, told] = eventsOf([], { status, stateLost: true }, false);
      expect(told).toMatchObject({ type: 'error', name: 'UnexpectedEndOfExecution' });
    },
  );

  it.each([
    ["Command 'b'exit 3\\n'' returned non-zero exit status 3.", 'exit status 3'],
    ["Command 'b'kill $$'' died with <Signals.SIGTERM: 15>.", 'died with <Signals.SIGTERM: 15>'],
  ])('of bash report how the shell ended, without the frames of Python: %s', (value, shown) => {
    const cell = createCellEvents('bash');
    const name = 'CalledProcessError';
    cell.output({ output: { kind: 'error', name, value, traceback: ['of Python'] }, at: AT });
    expect(cell.ended(executionRow({ status: 'ERROR' }), true)[1]).toEqual(error(name, shown));
  });

  it('keep the traceback of code that its time limit ended', () => {
    const shown = {
      kind: 'error',
      name: 'KeyboardInterrupt',
      value: '',
      traceback: ['here'],
    } as const;
    expect(eventsOf([shown], { status: 'TIMEOUT' })[1]).toMatchObject({
      name: 'TimeoutError',
      traceback: 'here',
    });
  });

  it('report dropped output: as the error, or on stderr if there is another error', () => {
    const gaps = [
      { kind: 'gap', reason: 'limit', droppedBytes: 5 },
      { kind: 'gap', reason: 'limit', droppedBytes: 2 },
    ] as const;
    const text = '7 bytes of the output of this cell could not be kept (limit).';
    expect(eventsOf(gaps)).toEqual([NUMBER, error('OutputTruncated', text), END]);
    expect(eventsOf(gaps, { status: 'ERROR', errorName: 'E', errorValue: 'v' })).toEqual([
      NUMBER,
      { type: 'stderr', text: `\n[${text}]\n`, timestamp: expect.any(String) },
      error('E', 'v'),
      END,
    ]);
    const unknown = [{ kind: 'gap', reason: 'buffer', droppedBytes: null }, ...gaps] as const;
    expect(eventsOf(unknown)[1]).toMatchObject({
      value: 'Some output of this cell could not be kept (limit).',
    });
  });
});

describe('a result', () => {
  it('has each known format under its key, and all others under `extra`', () => {
    const data = {
      'text/plain': 'p',
      'text/html': ['<b>', '</b>'],
      'text/markdown': 'm',
      'image/svg+xml': '<svg/>',
      'image/png': 'cG5n',
      'image/jpeg': 'anBn',
      'application/pdf': 'cGRm',
      'text/latex': '$x$',
      'application/json': { a: [1] },
      'application/javascript': 'js',
      'e2b/data': { column: [1, 2] },
      'e2b/chart': { type: 'line' },
      'application/x-odd': { y: 1 },
    };
    expect(resultEvent(rich('result', data))).toEqual({
      type: 'result',
      text: 'p',
      html: '<b></b>',
      markdown: 'm',
      svg: '<svg/>',
      png: 'cG5n',
      jpeg: 'anBn',
      pdf: 'cGRm',
      latex: '$x$',
      json: { a: [1] },
      javascript: 'js',
      data: { column: [1, 2] },
      chart: { type: 'line' },
      extra: { 'application/x-odd': { y: 1 } },
      is_main_result: true,
    });
  });

  it.each([
    [`'quoted'`, 'quoted'],
    [`"it's"`, `it's`],
    [`'half`, `'half`],
    [`'mixed"`, `'mixed"`],
    [`'`, `'`],
    [`''`, ''],
    [`"'a'"`, `'a'`],
  ])('shows the text %s as %s', (text, shown) => {
    expect(resultEvent(rich('result', { 'text/plain': text }))).toMatchObject({ text: shown });
  });

  it('has no chart of a blank figure', () => {
    const event = resultEvent(rich('display', { 'image/png': 'cG5n', 'e2b/chart': {} }));
    expect(event).toEqual({ type: 'result', png: 'cG5n', is_main_result: false });
  });
});

describe('JSON on the wire', () => {
  it('is ASCII in one line, and means the same', () => {
    const text = 'é 😀 \u2028\u2029\u0085\u007f \ud800 \n\r\0 "\\';
    const json = asciiJson({ text, ключ: 10n ** 20n });
    expect(json).toMatch(/^[\x20-\x7e]+$/);
    expect(json).toContain('100000000000000000000');
    expect(JSON.parse(json).text).toBe(text);
  });
});

describe('text in pieces', () => {
  function joining() {
    let now = 0;
    const prints = createJoinPrints(() => now);
    return {
      ...prints,
      after: (ms: number) => {
        now += ms;
      },
    };
  }

  it('is sent at once when its line ends, joined', () => {
    const prints = joining();
    expect(prints.add(print('hel'))).toEqual([]);
    expect(prints.add(print('lo'))).toEqual([]);
    expect(prints.add(print('\n'))).toEqual([print('hello\n')]);
    expect(prints.dueInMs()).toBe(null);
    expect(prints.add(print('a\nb\n'))).toEqual([print('a\nb\n')]);
  });

  it('waits 50 ms for the rest of its line, and at most 150 ms if more and more pieces come', () => {
    const prints = joining();
    prints.add(print('.'));
    expect(prints.dueInMs()).toBe(50);
    for (let n = 0; n < 4; n += 1) {
      prints.after(30);
      prints.add(print('.'));
    }
    expect(prints.dueInMs()).toBe(30);
    prints.after(30);
    expect(prints.dueInMs()).toBe(0);
    expect(prints.take()).toEqual([print('.....')]);
    expect(prints.take()).toEqual([]);
  });

  it('of one stream is never joined to text of the other', () => {
    const prints = joining();
    prints.add(print('out'));
    expect(prints.add(print('err', 'stderr'))).toEqual([print('out')]);
    expect(prints.add(print('\n', 'stderr'))).toEqual([print('err\n', 'stderr')]);
  });

  it('is sent at once when it has reached a size limit', () => {
    const prints = joining();
    const long = 'x'.repeat(1024 * 1024);
    expect(prints.add(print(long))).toEqual([print(long)]);
  });
});

describe('a context', () => {
  const view = (name: string | null) =>
    ({ id: 'id', name, workingDirectory: '/home/user' }) as never;

  it.each([
    ['python', '/root'],
    ['bash', 'a:b:c'],
    ['bash', null],
    ['python', 'new\nline'],
  ] as const)('of %s shows the folder %j as its client gave it', (language, cwd) => {
    const name = contextName(language, 'mark', cwd);
    expect(shownContext(view(name))).toEqual({ id: 'id', language, cwd: cwd ?? '/home/user' });
  });

  it.each([null, 'analysis', 'e2b:ruby:x:/y', 'x e2b:bash'])(
    'with the name %j is one of Python in its own folder',
    (name) => {
      expect(shownContext(view(name))).toMatchObject({ language: 'python', cwd: '/home/user' });
    },
  );

  it('gets no name that is too long, or that no context may have', () => {
    expect(contextName('bash', 'mark', 'x'.repeat(200))).toBe(null);
    expect(contextName('bash', 'mark', '\0')).toBe(null);
    expect(contextName('bash', 'mark', '\ud800')).toBe(null);
  });
});

it.each([
  [null, 'python'],
  ['', 'python'],
  [' Python ', 'python'],
  ['BASH', 'bash'],
] as const)('The language %j is %j', (given, language) => {
  expect(requireLanguage(given)).toBe(language);
});

it.each(['js', 'r', 'constructor'])('The language %s is refused with a message', (given) => {
  expect(() => requireLanguage(given)).toThrow(
    expect.objectContaining({ status: 400, message: expect.stringContaining(`"${given}"`) }),
  );
});

it('A cell of bash is run by a shell, unless the code is blank', () => {
  expect(cellOf('bash', 'echo $X\n')).toBe('%%bash\necho $X\n');
  expect(cellOf('bash', ' \n')).toBe(' \n');
  expect(cellOf('python', 'x')).toBe('x');
});
