/** Code that ends its own kernel, or tries to. */
import { expect } from 'vitest';
import type { Ran } from '../../testkit/kernelRunner.ts';
import { testBehaviours } from '../support/behaviours.ts';

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
  '`os._exit(3)`': {
    code: 'import os\nfor line in range(3): print(line)\nos._exit(3)',
    stdout: '0\n1\n2\n',
    sees: says('The kernel ended with code 3'),
  },
  '`os.kill(os.getpid(), 9)`': {
    code: 'print("before")\nimport os\nos.kill(os.getpid(), 9)',
    stdout: 'before\n',
    sees: says('The kernel ended by signal 9'),
  },
  'a segmentation fault, by `ctypes`': {
    code: 'print("before")\nimport ctypes\nctypes.string_at(0)',
    stdout: 'before\n',
    sees: says('The kernel ended by signal 11'),
  },
  '`signal.alarm(1)` without a handler': {
    code: 'print("before")\nimport signal, time\nsignal.alarm(1)\ntime.sleep(5)',
    stdout: 'before\n',
    sees: says('The kernel ended by signal 14'),
  },
  '`os.execv` of another program': {
    code: 'import os\nprint("before", flush=True)\nos.execv("/usr/bin/sleep", ["sleep", "60"])',
    stdout: 'before\n',
    sees: ({ outcome }) => expect(outcome.errorValue).toContain('cut itself off'),
  },
  '`os.closerange(0, 1000)`': {
    code: 'import os\nprint("before", flush=True)\nos.closerange(0, 1000)\nwhile True: pass',
    stdout: 'before\n',
  },
  'every socket that `gc` finds, closed': {
    code: `import gc, socket
print("before", flush=True)
for each in gc.get_objects():
    if isinstance(each, socket.socket): each.close()
while True: pass`,
    stdout: 'before\n',
  },
  '`asyncio.get_event_loop().stop()`': {
    code: 'import asyncio\nasyncio.get_event_loop().stop()',
  },
});
