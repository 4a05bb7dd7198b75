/** What an execution leaves running never speaks for another one, and never hinders it. */
import { expect } from 'vitest';
import { testBehaviours } from '../support/behaviours.ts';
import { textOf } from '../support/kernelRunner.ts';

const LATER = 'import time\ntime.sleep(0.4)\nprint("mine")';
const MINE = 'mine\n';

testBehaviours('What goes on after its execution', {
  'an asyncio task left running': {
    code: `import asyncio
async def work():
    for number in range(5):
        print("task", number)
        await asyncio.sleep(0.1)
task = asyncio.ensure_future(work())
await asyncio.sleep(0.05)`,
    stdout: 'task 0\n',
    next: 'await asyncio.sleep(0.3)\nprint("mine")',
    nextStdout: MINE,
  },
  'a thread that prints for ever': {
    code: `import threading, time
is_over = threading.Event()
def work():
    while not is_over.is_set(): print("spam")
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)`,
    sees: (ran) => expect(textOf(ran)).toMatch(/^(spam\n)+(spam)?$/),
    next: `${LATER}\nis_over.set()`,
    nextStdout: MINE,
  },
  'a thread that displays': {
    code: `import threading, time
def work():
    for number in range(5):
        display(number)
        time.sleep(0.1)
threading.Thread(target=work).start()
time.sleep(0.05)`,
    sees: ({ outputs }) => expect(outputs).toHaveLength(1),
    next: LATER,
    nextStdout: MINE,
  },
  'a thread made with `_thread`': {
    code: `import _thread, time
def work():
    for number in range(5):
        print("thread", number)
        time.sleep(0.1)
_ = _thread.start_new_thread(work, ())
time.sleep(0.05)`,
    stdout: 'thread 0\n',
    next: LATER,
    nextStdout: MINE,
  },
  'a child process that prints': {
    code: 'import subprocess\nchild = subprocess.Popen(["sh", "-c", "sleep 0.2; echo late"])',
    stdout: '',
    next: `${LATER}\nprint(child.wait())`,
    nextStdout: `${MINE}0\n`,
  },
  'a daemon that was forked twice': {
    code: `import subprocess
done = subprocess.run(["sh", "-c", "(sleep 0.2; echo late; echo lived > /workspace/lived) &"])`,
    stdout: '',
    next: `${LATER}\nprint(open("/workspace/lived").read(), end="")`,
    nextStdout: `${MINE}lived\n`,
  },
  'a thread pool of an earlier execution': {
    before: `from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
future = pool.submit(print, "first")
future.result()`,
    code: 'pool.submit(print, "second").result()',
    stdout: 'second\n',
    next: 'import asyncio\nawait asyncio.get_running_loop().run_in_executor(pool, print, "third")',
    nextStdout: 'third\n',
  },
  'a pool of processes': {
    code: `import multiprocessing
def work(number):
    print("number", number)
with multiprocessing.get_context("fork").Pool(2) as pool:
    done = pool.map(work, range(4))`,
    sees: (ran) => {
      const lines = textOf(ran).split('\n').sort();
      expect(lines).toEqual(['', 'number 0', 'number 1', 'number 2', 'number 3']);
    },
  },
  '`os.fork()` that returns in both branches': {
    code: `import os, warnings
warnings.simplefilter("ignore")
child = os.fork()
if child: _, status = os.waitpid(child, 0)
print("parent" if child else "child")`,
    stdout: 'child\nparent\n',
    stderr: '',
    next: 'print(os.waitstatus_to_exitcode(status))',
    nextStdout: '0\n',
  },
  'the same while the code awaits': {
    code: `import asyncio, os
await asyncio.sleep(0)
child = os.fork()
await asyncio.sleep(0)
if child: _, status = os.waitpid(child, 0)
print("parent" if child else "child")`,
    stdout: 'child\nparent\n',
    next: 'print(os.waitstatus_to_exitcode(status))',
    nextStdout: '0\n',
  },
  'a forked child that calls `sys.exit(7)`': {
    code: `import os, sys
child = os.fork()
if not child:
    print("child")
    sys.exit(7)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))`,
    stdout: 'child\n7\n',
  },
});
