/** What a kernel must do with code. */
import { describe, expect, it } from 'vitest';
import { textOf } from '../../testkit/kernelRunner.ts';
import { useKernel } from '../support/kernelContract.ts';

describe('a kernel', () => {
  const kernel = useKernel();

  it('keeps state from one execution to the next', async () => {
    await kernel.runner.run('a = 10');
    const ran = await kernel.runner.run('print(a * 20)');
    expect(textOf(ran)).toBe('200\n');
    expect(ran.outcome).toMatchObject({ status: 'OK', stateLost: false, truncated: false });
    expect(ran.starts).toBe(1);
  });

  it('gives each of many executions its own output', async () => {
    for (let number = 0; number < 100; number += 1) {
      const ran = await kernel.runner.run(`print(${number})\n${number} + 1`);
      expect(textOf(ran)).toBe(`${number}\n`);
      expect(ran.outputs.filter(({ kind }) => kind !== 'stream')).toMatchObject([
        { kind: 'result', data: { 'text/plain': `${number + 1}` } },
      ]);
    }
  });

  it.each([
    ['blank', '  \n'],
    ['only a comment', '# nothing'],
    ['an assignment', 'x = 1'],
    ['None', 'None'],
    ['an expression with a semicolon', '1;'],
  ])('puts out nothing for code that is %s', async (_name, code) => {
    expect(await kernel.runner.run(code)).toMatchObject({ outputs: [], outcome: { status: 'OK' } });
  });

  it.each([
    ['await at top level', 'import asyncio\nawait asyncio.sleep(0.01)\nprint("done")', 'done\n'],
    ['a shell command', '!echo done', 'done'],
    ['a magic', '%%capture --no-stderr text\nprint("x")', ''],
    ['a cell magic in bash', '%%bash\necho done', 'done\n'],
  ])('runs %s', async (_name, code, expected) => {
    const ran = await kernel.runner.run(code);
    expect(textOf(ran).replaceAll('\r\n', '')).toBe(expected);
    expect(ran.outcome).toMatchObject({ status: 'OK' });
  });

  it('reports an error once, with the output before it', async () => {
    const ran = await kernel.runner.run('print("before")\n1 / 0');
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName: 'ZeroDivisionError',
      errorValue: 'division by zero',
    });
    // A kernel may send one text in pieces.
    expect(textOf(ran)).toBe('before\n');
    expect(ran.outputs.slice(0, -1).every(({ kind }) => kind === 'stream')).toBe(true);
    expect(ran.outputs.at(-1)).toMatchObject({
      kind: 'error',
      name: 'ZeroDivisionError',
      traceback: expect.arrayContaining([expect.stringContaining('1')]),
    });
  });

  it.each([
    ['invalid syntax', 'a b', 'SyntaxError', 'invalid syntax'],
    ['invalid indentation', '  x\n y', 'IndentationError', 'indent'],
    ['input(), which nobody can answer', 'input()', 'StdinNotImplementedError', 'input'],
    ['a name of its own', 'class Öl(Exception): pass\nraise Öl("正弦 🐍 \\0")', 'Öl', '正弦 🐍 \0'],
    ['a cause', 'try: 1 / 0\nexcept Exception as e: raise KeyError("x") from e', 'KeyError', "'x'"],
    [
      'a KeyboardInterrupt that it raises itself',
      'raise KeyboardInterrupt()',
      'KeyboardInterrupt',
      '',
    ],
    ['an exit', 'import sys; sys.exit(3)', 'SystemExit', '3'],
    ['a recursion without end', 'def f(): f()\nf()', 'RecursionError', 'maximum recursion depth'],
    [
      'a group',
      'raise ExceptionGroup("g", [ValueError(1), KeyError(2)])',
      'ExceptionGroup',
      'g (2 sub',
    ],
  ])('makes an error of %s', async (_name, code, errorName, errorValue) => {
    const ran = await kernel.runner.run(code);
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName,
      errorValue: expect.stringContaining(errorValue),
      stateLost: false,
    });
    expect(ran.outputs.filter(({ kind }) => kind === 'error')).toHaveLength(1);
  });

  it('goes on after an error, even with code that was sent right after the failing code', async () => {
    const [failed, next] = await Promise.all([
      kernel.runner.run('import time; time.sleep(0.1)\n1 / 0'),
      kernel.runner.run('print("next")'),
    ]);
    expect(failed.outcome.status).toBe('ERROR');
    expect(next.outcome.status).toBe('OK');
    expect(textOf(next)).toBe('next\n');
  });

  it('brings odd text through exactly, both ways', async () => {
    const odd =
      'nul \u0000, ünï, 正弦波, 🐍, \u2028, \ufeff, e\u0301, \u202eright to left\u202c, \r, \u001b[0m, \uffff';
    const ran = await kernel.runner.run(
      `text = ${JSON.stringify(odd)}\nprint(text, len(text))\ntext`,
    );
    expect(textOf(ran)).toBe(`${odd} ${[...odd].length}\n`);
    const shown = await kernel.runner.run('from IPython.display import Pretty\nPretty(text)');
    expect(shown.outputs).toMatchObject([{ kind: 'result', data: { 'text/plain': odd } }]);
    const raised = await kernel.runner.run('raise ValueError(text)');
    expect(raised.outcome.errorValue).toBe(odd);
  });

  it('brings every character of Unicode through exactly', async () => {
    const ran = await kernel.runner.run(
      'print("".join(map(chr, [*range(0xd800), *range(0xe000, 0x110000)])), end="")',
    );
    const text = textOf(ran);
    expect([...text]).toHaveLength(0x110000 - 0x800);
    let expected = 0;
    for (const character of text) {
      if (expected === 0xd800) expected = 0xe000;
      if (character.codePointAt(0) !== expected) throw new Error(`at ${expected.toString(16)}`);
      expected += 1;
    }
  });

  it('brings a megabyte in one line', async () => {
    const ran = await kernel.runner.run('print("é" * 1_000_000)');
    expect(textOf(ran)).toBe(`${'é'.repeat(1_000_000)}\n`);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false });
  });

  it('brings 200,000 lines, in order', async () => {
    const ran = await kernel.runner.run('for i in range(200_000): print(f"{i:08}", "x" * 91)');
    const lines = textOf(ran).split('\n');
    expect(lines).toHaveLength(200_001);
    expect(
      lines.every((line, i) => i === 200_000 || line.startsWith(`${i}`.padStart(8, '0'))),
    ).toBe(true);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false, outputBytes: 20_200_000 });
  });

  it('brings 20 MB in one print', async () => {
    const ran = await kernel.runner.run('print("0123456789" * 2_000_000)');
    expect(textOf(ran)).toBe(`${'0123456789'.repeat(2_000_000)}\n`);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false });
  });

  it('takes code of a megabyte', async () => {
    const ran = await kernel.runner.run(`# ${'é'.repeat(500_000)}\nprint("end")`);
    expect(textOf(ran)).toBe('end\n');
  });

  it('keeps no more output than allowed, and reports the gap', async () => {
    const code = 'for i in range(20):\n print("x" * 50_000, flush=True)';
    const ran = await kernel.runner.run(code, { maxOutputBytes: 200_000 });
    expect(textOf(ran).length).toBeLessThanOrEqual(200_000);
    expect(textOf(ran).length).toBeGreaterThan(100_000);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: true });
    expect(ran.outputs.filter(({ kind }) => kind === 'gap')).toMatchObject([
      { reason: 'output_limit' },
    ]);
  });

  it('adds late prints of a thread to no other execution', async () => {
    const code = `
import threading, time
def late():
    time.sleep(0.3)
    print("late")
thread = threading.Thread(target=late)
thread.start()`;
    await kernel.runner.run(code);
    const next = await kernel.runner.run('thread.join()\nprint("mine")');
    expect(textOf(next)).toBe('mine\n');
  });
});
