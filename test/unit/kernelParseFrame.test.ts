import { describe, expect, it } from 'vitest';
import { outputSize } from '../../src/domain/output.ts';
import { outputBytes, outputItems } from '../../src/kernel/frames/json.ts';
import { parseFrame } from '../../src/kernel/frames/parseFrame.ts';
import { frame, messageIn, okReply, status, stream, verdict } from '../support/frames.ts';
import { fc } from '../support/seeded.ts';

const AT = 5_000;
const output = (type: string, content: unknown) => {
  const parsed = parseFrame(frame(type, content, { parent: 'p', seq: 1 }), AT);
  if (parsed.type !== 'message' || parsed.message.type !== 'output')
    throw new Error(`no output: ${JSON.stringify(parsed).slice(0, 200)}`);
  return { ...parsed.message, isMalformed: parsed.isMalformed };
};

describe('parseFrame', () => {
  it('reads the hello', () => {
    const hello = { boot_id: 'b', first_seq: 3, last_seq: 9, kernel_generation: 2 };
    expect(parseFrame(JSON.stringify({ hello }), AT)).toEqual({
      type: 'hello',
      hello: { bootId: 'b', firstSeq: 3, lastSeq: 9, kernelGeneration: 2 },
    });
  });

  it('reads statuses, with the reason of a restart', () => {
    expect(parseFrame(status('busy', { parent: 'p', seq: 4, at: 99.5 }), AT)).toEqual({
      type: 'message',
      isMalformed: false,
      message: {
        type: 'status',
        seq: 4,
        at: 99.5,
        parentId: 'p',
        state: 'busy',
        reason: null,
        contextId: null,
      },
    });
    const numbered = (execution_count: unknown) =>
      parseFrame(frame('status', { execution_state: 'busy', execution_count }), AT);
    expect(numbered(7)).toMatchObject({ message: { executionCount: 7 } });
    const begun = (pid: unknown) =>
      parseFrame(frame('status', { execution_state: 'busy', pid }), AT);
    expect(begun(12)).toMatchObject({ message: { pid: 12 } });
    for (const odd of [-1, 2 ** 31, 1.5, '7', null, true]) {
      expect(numbered(odd)).not.toHaveProperty('message.executionCount');
      expect(begun(odd)).not.toHaveProperty('message.pid');
    }
    const restarting = frame('status', { execution_state: 'restarting', reason: 'oom' });
    expect(parseFrame(restarting, AT)).toMatchObject({
      message: { state: 'restarting', reason: 'oom', parentId: null, seq: 1, at: AT },
    });
  });

  it('reads the context whose kernel is replaced, and reports about contexts', () => {
    const content = { execution_state: 'restarting', reason: 'user', context_id: 'c' };
    expect(parseFrame(frame('status', content), AT)).toMatchObject({ message: { contextId: 'c' } });
    const news = { context_id: 'c', state: 'ready', kernel_generation: 1, ready_ms: 80 };
    expect(parseFrame(frame('cellhouse_context', news, { seq: 5, at: 7 }), AT)).toEqual({
      type: 'message',
      isMalformed: false,
      message: { type: 'context', seq: 5, at: 7, parentId: null, contextId: 'c', state: 'ready' },
    });
  });

  it.each([
    ['of no context', { state: 'ready' }, {}],
    ['of an unknown state', { context_id: 'c', state: 'gone' }, {}],
    // A message with a parent comes from a kernel, which may not report about contexts.
    ['in the name of the agent', { context_id: 'c', state: 'ended' }, { parent: 'p' }],
  ])('drops a report %s', (_name, content, options) => {
    expect(parseFrame(frame('cellhouse_context', content, { seq: 5, ...options }), AT)).toEqual({
      type: 'dropped',
      seq: 5,
      why: 'invalid',
    });
  });

  it.each([
    ['ascii', 'a\n'],
    ['U+0000', 'a\u0000b'],
    ['a lone surrogate', '\ud800x\udfff'],
    ['an emoji', '🐍'],
    ['a megabyte in one line', 'é'.repeat(1_000_000)],
  ])('keeps stream text exactly: %s', (_name, text) => {
    expect(output('stream', { name: 'stderr', text }).output).toEqual({
      kind: 'stream',
      name: 'stderr',
      text,
    });
  });

  it('reads rich output of all three kinds', () => {
    const content = {
      data: { 'text/plain': '1', 'application/json': { a: [1] } },
      metadata: { 'image/png': { width: 3 } },
      transient: { display_id: 'd' },
      execution_count: 3,
    };
    const rich = { data: content.data, metadata: content.metadata, displayId: 'd' };
    expect(output('execute_result', content).output).toEqual({
      kind: 'result',
      ...rich,
      executionCount: 3,
    });
    expect(output('display_data', { ...content, execution_count: undefined }).output).toEqual({
      kind: 'display',
      ...rich,
      executionCount: null,
    });
    expect(output('update_display_data', content).output).toMatchObject({ kind: 'update' });
  });

  it('reads bytes that are not UTF-8, and makes their text itself', () => {
    const read = (base64: unknown) => {
      const parsed = parseFrame(frame('stream', { name: 'stderr', text: 'forged', base64 }), 0);
      return parsed.type === 'message' && parsed.message.type === 'output'
        ? parsed.message.output
        : null;
    };
    const base64 = Buffer.from([0x61, 0xff, 0x62]).toString('base64');
    const of = { kind: 'stream', name: 'stderr' };
    expect(read(base64)).toEqual({ ...of, text: 'a\ufffdb', base64 });
    expect(read(Buffer.from('äöü').toString('base64'))).toEqual({ ...of, text: 'äöü' });
    for (const odd of [1, null, '!', 'YQ', 'YR==', 'YQ==\n'])
      expect(read(odd)).toMatchObject({ kind: 'gap', reason: 'malformed' });
  });

  it('reads the signal that ended a command, if it is the name of a signal', () => {
    const read = (signal: unknown) => {
      const reply = okReply({ parent: 'e', metadata: verdict('finished', { signal }) });
      const message = messageIn(reply);
      return message.type === 'reply' ? message.verdict?.signal : undefined;
    };
    expect(read('SIGKILL')).toBe('SIGKILL');
    expect(read('SIG35')).toBe('SIG35');
    for (const odd of ['kill', 'SIG', 'SIG\u0000', 'SIGKILL\n', `SIG${'X'.repeat(99)}`, 9, null])
      expect(read(odd)).toBeNull();
  });

  it('reads errors, clears and gaps', () => {
    expect(output('error', { ename: 'E', evalue: 'v', traceback: ['a', 'b'] }).output).toEqual({
      kind: 'error',
      name: 'E',
      value: 'v',
      traceback: ['a', 'b'],
    });
    expect(output('clear_output', { wait: true }).output).toEqual({ kind: 'clear', wait: true });
    const gap = { reason: 'output_limit', dropped_bytes: 5, dropped_messages: 1 };
    expect(output('cellhouse_gap', gap).output).toEqual({
      kind: 'gap',
      reason: 'output_limit',
      droppedBytes: 5,
    });
  });

  it('reads the results of expressions, and bounds them like other outputs', () => {
    const told = (results: unknown) => output('cellhouse_expressions', { results }).output;
    const ok = { status: 'ok', data: { 'text/plain': '漢' }, metadata: { a: 1 } };
    const failed = { status: 'error', ename: 'E', evalue: 'v', traceback: ['l'] };
    const read = told({ one: ok, two: failed });
    expect(read).toEqual({
      kind: 'expressions',
      results: { one: ok, two: { status: 'error', name: 'E', value: 'v', traceback: ['l'] } },
    });
    expect(outputBytes(read)).toBe(3 + 10 + 3 + 2 + 3 + 1 + 1 + 1);
    expect(outputItems(read)).toBe(3);
    expect(outputSize(read)).toBeGreaterThan(outputSize(told({})));
    const many = Object.fromEntries(new Array(65).fill(ok).map((each, n) => [`n${n}`, each]));
    for (const wrong of [null, [], 'x', { a: 1 }, { a: { status: 'ok', data: [] } }, many])
      expect(told(wrong)).toMatchObject({ kind: 'gap', reason: 'malformed' });
    expect(told({ ['n'.repeat(129)]: ok })).toMatchObject({ kind: 'gap' });
    expect(told({ a: { ...ok, data: nested(200) } })).toMatchObject({ kind: 'gap' });
    expect(told({ a: {} })).toMatchObject({ results: { a: { name: 'UnknownError' } } });
  });

  it('reads any request for input, and counts the input as secret if in doubt', () => {
    const asked = (content: Record<string, unknown>) =>
      output('cellhouse_input_request', content).output;
    expect(asked({ prompt: 'Name? ', password: false })).toEqual({
      kind: 'input',
      prompt: 'Name? ',
      password: false,
    });
    expect(asked({ prompt: '\u0000\ud800', password: true })).toMatchObject({
      prompt: '\u0000\ud800',
      password: true,
    });
    expect(asked({ prompt: 7 })).toEqual({ kind: 'input', prompt: '', password: true });
    const long = asked({ prompt: 'x'.repeat(20_000), password: false });
    expect(long).toMatchObject({ prompt: expect.stringMatching(/more characters\]$/) });
  });

  it("reads replies with the agent's verdict", () => {
    const parsed = parseFrame(okReply({ parent: 'p', metadata: verdict('finished') }), AT);
    expect(parsed).toMatchObject({
      message: {
        type: 'reply',
        status: 'ok',
        executionCount: 7,
        error: null,
        verdict: { outcome: 'finished', cpuMs: 12.5, startedAt: 1_000 },
      },
    });
  });

  it.each([
    ['a stream without text', 'stream', { name: 'stdout' }],
    ['a stream of another name', 'stream', { name: 'stdin', text: 'x' }],
    ['data that is not an object', 'display_data', { data: [1] }],
    ['too many representations', 'display_data', { data: Object.fromEntries(mimeTypes(65)) }],
    ['a MIME type without end', 'display_data', { data: { ['x'.repeat(300)]: '' } }],
    ['JSON that is too deep', 'display_data', { data: { 'application/json': nested(200) } }],
    ['a gap without a reason', 'cellhouse_gap', {}],
  ])('makes a gap of %s', (_name, type, content) => {
    const { output: gap, isMalformed } = output(type, content);
    expect(gap).toMatchObject({ kind: 'gap', reason: 'malformed' });
    expect(isMalformed).toBe(true);
  });

  it('bounds error texts and says so', () => {
    const long = 'x'.repeat(3_000_000);
    const { output: error } = output('error', {
      ename: long,
      evalue: long,
      traceback: [long, long, long, 5],
    });
    expect(JSON.stringify(error).length).toBeLessThan(6_000_000);
    expect(error).toMatchObject({ name: expect.stringContaining('more characters') });
  });

  it('drops metadata over the limit and keeps the data', () => {
    const huge = { a: 'x'.repeat(100_000) };
    const data = { 'text/plain': '1' };
    for (const metadata of [huge, nested(200), 7])
      expect(output('display_data', { data, metadata }).output).toMatchObject({
        data,
        metadata: {},
      });
  });

  it.each([
    ['broken JSON', '{"seq":1', null, 'invalid'],
    ['no object', '[1]', null, 'invalid'],
    ['no header', '{"seq":4,"content":{}}', 4, 'invalid'],
    ['a hello of a wrong shape', '{"hello":{"boot_id":1}}', null, 'invalid'],
    ['an unknown state', status('thinking', { seq: 2 }), 2, 'invalid'],
    ['an unknown type', frame('comm_open', {}, { seq: 3 }), 3, 'ignored'],
    ['the echo of the code', frame('execute_input', { code: '1' }, { seq: 3 }), 3, 'ignored'],
    ['a reply on iopub', frame('execute_reply', {}, { seq: 3, channel: 'iopub' }), 3, 'ignored'],
    ['a stream on shell', frame('stream', {}, { seq: 3, channel: 'shell' }), 3, 'ignored'],
    ['prototype names', frame('__proto__', {}, { seq: 3 }), 3, 'ignored'],
  ])('drops %s, keeping its seq', (_name, text, seq, why) => {
    expect(parseFrame(text, AT)).toEqual({ type: 'dropped', seq, why });
  });

  it('takes the last of duplicate keys, as Python does', () => {
    const text = stream('x', { parent: 'a' }).replace(
      '"parent_header":',
      '"parent_header":{"msg_id":"b"},"parent_header":',
    );
    expect(parseFrame(text, AT)).toMatchObject({ message: { parentId: 'a' } });
  });

  it('survives nesting that would overflow any stack', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const text = frame('display_data', { data: { a: 0 } }).replace('"a":0', `"a":${deep}`);
    expect(parseFrame(text, AT)).toMatchObject({ message: { output: { kind: 'gap' } } });
    expect(parseFrame(deep, AT)).toMatchObject({ type: 'dropped' });
  });

  it('refuses more values than its limit, however they are written', () => {
    const withValues = (json: string) =>
      parseFrame(
        frame('display_data', { data: { 'application/json': 0 } }).replace(
          '"application/json":0',
          `"application/json":${json}`,
        ),
        AT,
      );
    // The frame around the values adds some twenty more.
    const most = Array(499_900).fill('1.5').join(',');
    expect(withValues(`[${most}]`)).toMatchObject({ message: { output: { kind: 'display' } } });
    for (const value of ['1', '{}', '[]', '""', '[[0]]', '{"a":1,"b":2}'])
      expect(withValues(`[${Array(500_001).fill(value).join(',')}]`)).toMatchObject({
        type: 'dropped',
        why: 'invalid',
      });
    expect(withValues('['.repeat(1_100_000))).toMatchObject({ type: 'dropped' });
  });

  it('counts nothing inside a string as values', () => {
    const text = String.raw`,[{"\","[`.repeat(200_000);
    expect(output('stream', { name: 'stdout', text }).output).toMatchObject({ text });
    const data = { 'text/html': text, 'text/plain': '\\' };
    expect(output('display_data', { data }).output).toMatchObject({ data });
  });

  it.each([-1, 2 ** 31, 2 ** 53, 1.5, 1e308, '3', true])(
    'leaves out an invalid execution count: %s',
    (count) => {
      const content = { data: {}, execution_count: count };
      expect(output('execute_result', content).output).toMatchObject({ executionCount: null });
      const reply = frame('execute_reply', { status: 'ok', execution_count: count });
      expect(parseFrame(reply, AT)).toMatchObject({ message: { executionCount: null } });
    },
  );

  it.each([-1, 1e16, 1e308, '5'])(
    "uses the gateway's time if a message has no valid one: %s",
    (at) => {
      expect(
        parseFrame(frame('status', { execution_state: 'idle' }, { at: at as number }), AT),
      ).toMatchObject({
        message: { at: AT },
      });
    },
  );

  it.each(['peak_memory_bytes', 'output_bytes', 'exit_code', 'started_at', 'finished_at'])(
    'leaves out of the verdict what cannot be stored: %s',
    (name) => {
      const metadata = verdict('finished', { [name]: 1e300 });
      const parsed = parseFrame(okReply({ parent: 'p', metadata }), AT);
      if (parsed.type !== 'message' || parsed.message.type !== 'reply') throw new Error('no reply');
      expect(JSON.stringify(parsed.message.verdict)).not.toContain('e+');
    },
  );

  it('never throws, and what passes can be serialised', () => {
    fc.assert(
      fc.property(hostileFrame, (text) => {
        const parsed = parseFrame(text, AT);
        expect(() => JSON.stringify(parsed)).not.toThrow();
        if (parsed.type !== 'message') return;
        const { seq, at, parentId } = parsed.message;
        expect(seq === null || (Number.isSafeInteger(seq) && seq > 0)).toBe(true);
        expect(Number.isNaN(new Date(at).getTime())).toBe(false);
        expect(parentId === null || parentId.length <= 256).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = { a: value };
  return value;
}

function mimeTypes(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`a/${i}`, '']);
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\u0000', '\ud800', '\udfff\ud800', '__proto__', 'constructor', ''),
);
const anyValue = fc.oneof(
  fc.jsonValue(),
  anyText,
  fc.constantFrom(-1, 0, 0.5, 1e308, -0, 8.65e15, 2 ** 31, 2 ** 53, 2 ** 60, null, true),
);
const contentValue = fc.dictionary(
  fc.constantFrom(
    'name',
    'text',
    'data',
    'metadata',
    'transient',
    'execution_count',
    'ename',
    'evalue',
    'traceback',
    'wait',
    'reason',
    'dropped_bytes',
    'execution_state',
    'status',
  ),
  anyValue,
);
const messageValue = fc.record(
  {
    channel: fc.oneof(fc.constantFrom('iopub', 'shell'), anyValue),
    header: fc.oneof(
      fc.record({
        msg_type: fc.constantFrom(
          'status',
          'stream',
          'display_data',
          'update_display_data',
          'execute_result',
          'error',
          'clear_output',
          'cellhouse_gap',
          'cellhouse_input_request',
          'execute_reply',
          'toString',
        ),
      }),
      anyValue,
    ),
    parent_header: fc.oneof(fc.record({ msg_id: anyValue }), anyValue),
    metadata: fc.oneof(fc.record({ cellhouse: anyValue }), anyValue),
    content: fc.oneof(contentValue, anyValue),
    seq: anyValue,
    at: anyValue,
    hello: anyValue,
  },
  { requiredKeys: ['channel', 'header', 'content'] },
);
const hostileFrame = fc.oneof(
  { weight: 5, arbitrary: messageValue.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: anyText },
  {
    weight: 1,
    arbitrary: fc
      .tuple(messageValue, fc.nat(400))
      .map(([value, end]) => JSON.stringify(value).slice(0, end)),
  },
);
