/** Errors that a kernel might report wrongly, or never finish reporting. */
import { expect } from 'vitest';
import type { Ran } from '../../testkit/kernelRunner.ts';
import { testBehaviours } from '../support/behaviours.ts';

/** The readable parts of an error. */
function errorOf({ outputs }: Ran): { value: string; traceback: string } {
  const errors = outputs.flatMap((output) => (output.kind === 'error' ? [output] : []));
  const [error] = errors;
  if (!error) throw new Error('The code has no error.');
  return { value: error.value, traceback: error.traceback.join('\n') };
}

const SELF_CONTEXT = `first, second = ValueError("first"), TypeError("second")
first.__context__, second.__context__ = second, first
raise first`;

testBehaviours('Errors', {
  '`raise KeyboardInterrupt`': { code: 'raise KeyboardInterrupt' },
  'SIGINT to itself': { code: 'import os, signal\nos.kill(os.getpid(), signal.SIGINT)' },
  '`get_ipython().run_cell_async(...)` without `await`': {
    code: 'get_ipython().run_cell_async("1")\nNone',
    stdout: '',
    stderr: '',
  },
  'an exception whose `__str__` raises': {
    code: 'class Unspeakable(Exception):\n  def __str__(self): raise ValueError\nraise Unspeakable',
    sees: (ran) => expect(errorOf(ran).value).toBe('<exception Unspeakable: its str() failed>'),
  },
  'a value whose `__repr__` raises, as the last line': {
    code: 'class Shy:\n  def __repr__(self): raise ValueError("shy")\nShy()',
    sees: (ran) => expect(errorOf(ran).value).toBe('shy'),
  },
  'the same, shown with `display()`': {
    code: 'class Shy:\n  def __repr__(self): raise ValueError("shy")\ndisplay(Shy())\nprint("on")',
    stdout: 'on\n',
    sees: (ran) => {
      expect(errorOf(ran).value).toBe('shy');
      expect(ran.outputs.map(({ kind }) => kind)).toEqual(['error', 'stream']);
    },
  },
  'an exception with a text of 10 MB': {
    code: 'raise ValueError("x" * 10_000_000)',
    sees: (ran) => {
      const { value } = errorOf(ran);
      expect(value === `${'x'.repeat(1_000_000)}… [9000000 more characters]`).toBe(true);
      expect(ran.outcome).toMatchObject({ truncated: true });
      const gaps = ran.outputs.flatMap((output) => (output.kind === 'gap' ? [output] : []));
      expect(gaps).toMatchObject([{ reason: 'message_too_large' }]);
      expect(gaps[0]?.droppedBytes).toBeGreaterThan(9_000_000);
    },
  },
  'a recursion without end': {
    code: 'def down(n): return down(n + 1)\ndown(0)',
    sees: (ran) => expect(errorOf(ran).traceback).toContain('down'),
  },
  'a traceback of 1,000,000 frames': {
    code: `import sys
sys.setrecursionlimit(10**7)
def down(n):
    if n == 0: raise ValueError("deep")
    down(n - 1)
down(1_000_000)`,
    timeoutMs: 30_000,
    sees: (ran) => expect(errorOf(ran).traceback).toMatch(/\[99\d{4} frames are left out\]/),
  },
  'a chain of 100,000 exceptions': {
    code: `error = None
for number in range(100_000):
    newer = ValueError(f"number {number}")
    newer.__context__, error = error, newer
raise error`,
    sees: (ran) => {
      expect(errorOf(ran).traceback).toContain('number 99999');
      expect(errorOf(ran).traceback.match(/number \d+/g)).toHaveLength(10);
    },
  },
  "exceptions that are each other's context": {
    code: SELF_CONTEXT,
    sees: (ran) => expect(errorOf(ran).traceback).toContain('first'),
  },
  'an exception group': {
    code: 'raise ExceptionGroup("both", [ValueError(1), TypeError(2)])',
    stderr: '',
    sees: (ran) => expect(errorOf(ran).traceback).toContain('TypeError: 2'),
  },
  'an error while `sys.stdout` is None': {
    code: 'import sys\nsys.stdout = sys.stderr = None\n1 / 0',
    sees: (ran) => expect(errorOf(ran).value).toBe('division by zero'),
    next: 'print("seen again")',
    nextStdout: 'seen again\n',
  },
  'an error while `sys.excepthook` is replaced': {
    code: 'import sys\nsys.excepthook = lambda *_: print("hook")\n1 / 0',
    stdout: '',
  },
  'U+0000 in the code': {
    code: 'print("a\u0000b")',
    sees: (ran) => expect(errorOf(ran).value).toContain('null bytes'),
  },
  'a lone surrogate in the code': { code: 'print("\ud800")' },
  'brackets nested too deep': {
    code: `${'('.repeat(1_000)}${')'.repeat(1_000)}`,
    sees: (ran) => expect(errorOf(ran).value).toContain('too many nested parentheses'),
  },
  '`%%bash` that fails': { code: '%%bash\necho out\nexit 4', stdout: 'out\n' },
  '`input()`': {
    code: 'print("asks")\ninput("name? ")',
    stdout: 'asks\n',
    sees: (ran) =>
      expect(errorOf(ran).value).toBe('input() was called, and nobody can answer here'),
  },
  '`getpass.getpass()`': {
    code: 'import getpass\ngetpass.getpass()',
    sees: (ran) =>
      expect(errorOf(ran).value).toBe('getpass() was called, and nobody can answer here'),
  },
  '`breakpoint()`': { code: 'breakpoint()\nprint("never")' },
});
