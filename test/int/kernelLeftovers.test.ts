/** What an execution leaves running never adds output to another execution, and never hinders it. */
import { expect } from 'vitest';
import { textOf } from '../../testkit/kernelRunner.ts';
import { testBehaviours } from '../support/behaviours.ts';

/** The next execution: it lets the leftover print again, waits until the leftover has signalled that, and prints. */
const GO_ON = 'go.set()\ndone = spoken.wait()\nprint("mine")';
const MINE = 'mine\n';

testBehaviours('What still runs after its execution', {
  'an asyncio task left running': {
    code: `import asyncio
first, go, spoken = asyncio.Event(), asyncio.Event(), asyncio.Event()
async def work():
    print("task 0")
    first.set()
    await go.wait()
    print("task 1")
    spoken.set()
task = asyncio.ensure_future(work())
done = await first.wait()`,
    stdout: 'task 0\n',
    next: 'go.set()\ndone = await spoken.wait()\nprint("mine")',
    nextStdout: MINE,
  },
  'a thread that prints for ever': {
    code: `import threading
first, is_over = threading.Event(), threading.Event()
def work():
    while not is_over.is_set():
        print("spam")
        first.set()
thread = threading.Thread(target=work)
thread.start()
done = first.wait()`,
    sees: (ran) => expect(textOf(ran)).toMatch(/^(spam\n)+(spam)?$/),
    next: 'import time\ntime.sleep(0.1)\nprint("mine")\nis_over.set()\nthread.join()',
    nextStdout: MINE,
  },
  'a thread that displays': {
    code: `import threading
first, go, spoken = threading.Event(), threading.Event(), threading.Event()
def work():
    display(0)
    first.set()
    go.wait()
    display(1)
    spoken.set()
threading.Thread(target=work).start()
done = first.wait()`,
    sees: ({ outputs }) => expect(outputs).toMatchObject([{ data: { 'text/plain': '0' } }]),
    next: GO_ON,
    nextStdout: MINE,
  },
  'a thread made with `_thread`': {
    code: `import _thread, threading
first, go, spoken = threading.Event(), threading.Event(), threading.Event()
def work():
    print("thread 0")
    first.set()
    go.wait()
    print("thread 1")
    spoken.set()
number = _thread.start_new_thread(work, ())
done = first.wait()`,
    stdout: 'thread 0\n',
    next: GO_ON,
    nextStdout: MINE,
  },
  'a child process that prints': {
    code: `import subprocess
child = subprocess.Popen(["sh", "-c", "read line; echo late"], stdin=subprocess.PIPE)`,
    stdout: '',
    next: 'nothing = child.communicate(b"go\\n")\nprint("mine", child.returncode)',
    nextStdout: 'mine 0\n',
  },
  'a daemon that was forked twice': {
    code: `import subprocess
script = "while ! [ -e go ]; do sleep 0.02; done; echo late; echo lived > lived"
done = subprocess.run(["sh", "-c", f"({script}) &"])`,
    stdout: '',
    next: `import os, time
open("go", "w").close()
while not (os.path.exists("lived") and os.path.getsize("lived")): time.sleep(0.02)
print("mine")`,
    nextStdout: MINE,
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
  '`os.fork()` whose child does not call `os._exit`': {
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
