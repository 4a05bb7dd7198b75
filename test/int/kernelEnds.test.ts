/** Code that ends its own kernel, or tries to. */
import { expect } from 'vitest';
import { testBehaviours } from '../support/behaviours.ts';
import type { Ran } from '../support/kernelRunner.ts';

const says =
  (text: string) =>
  ({ outcome }: Ran) =>
    expect(outcome.errorValue).toBe(text);

testBehaviours('Ends of the process', {
  '`sys.exit(3)`': {
    code: 'import sys\nprint("before")\nsys.exit(3)',
    stdout: 'before\n',
    stderr: '',
    sees: says('3'),
  },
  '`exit()`': { code: 'print("before")\nexit()', stdout: 'before\n' },
  '`quit()`': { code: 'print("before")\nquit()', stdout: 'before\n' },
  '`quit(keep_kernel=True)`': { code: 'quit(keep_kernel=True)' },
  '`os._exit(3)`': { code: 'import os\nos._exit(3)', sees: says('The kernel ended with code 3') },
  '`os.kill(os.getpid(), 9)`': {
    code: 'import os\nos.kill(os.getpid(), 9)',
    sees: says('The kernel ended by signal 9'),
  },
  'a segmentation fault, by `ctypes`': {
    code: 'import ctypes\nctypes.string_at(0)',
    sees: says('The kernel ended by signal 11'),
  },
  '`signal.alarm(1)` without a handler': {
    code: 'import signal, time\nsignal.alarm(1)\ntime.sleep(5)',
    sees: says('The kernel ended by signal 14'),
  },
  '`asyncio.get_event_loop().stop()`': {
    code: 'import asyncio\nasyncio.get_event_loop().stop()',
  },
});
