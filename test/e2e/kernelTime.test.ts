/** No code can hold a session longer than its time limit and the grace. */
import { expect } from 'vitest';
import { type Ran, textOf } from '../../testkit/kernelRunner.ts';
import { type Behaviour, testBehaviours } from '../support/behaviours.ts';

/** Long enough for the code to have begun on a busy machine. */
const TIMEOUT_MS = 1_000;
/** Longer than `subprocess.run` needs to end a child after an interrupt. */
const HEEDS_WITHIN_MS = 1_000;
/**
 * A long grace: code that heeds its interrupt keeps its variables, however long a busy machine takes for the traceback.
 */
const LIMITS = {
  timeoutMs: TIMEOUT_MS,
  graceMs: 20_000,
  endsWithinMs: TIMEOUT_MS + HEEDS_WITHIN_MS,
};
/** After half of this grace, code gets a second interrupt. */
const AGAIN_GRACE_MS = 4_000;
const AGAIN_LIMITS = { timeoutMs: TIMEOUT_MS, graceMs: AGAIN_GRACE_MS };
const STUBBORN_LIMITS = { timeoutMs: TIMEOUT_MS, graceMs: 200 };

/** Code that prints first: its output must arrive, however the code ends. */
const endless = (code: string, limits: typeof AGAIN_LIMITS = LIMITS): Behaviour => ({
  ...limits,
  code: `print("before")\n${code}`,
  stdout: 'before\n',
});
const stubborn = (code: string): Behaviour => endless(code, STUBBORN_LIMITS);

const shows =
  (text: string) =>
  ({ outputs }: Ran) =>
    expect(JSON.stringify(outputs)).toContain(text);

const BLOCKING_TASK = `import asyncio
async def block():
    await asyncio.sleep(0)
    while True: pass
task = asyncio.ensure_future(block())`;

testBehaviours('Code that does not stop', {
  '`while True: pass`': { ...endless('while True: pass'), sees: shows('KeyboardInterrupt') },
  'garbage collected in a loop': {
    ...endless('import gc\nwhile True: gc.collect(0)'),
    sees: shows('KeyboardInterrupt'),
  },
  'a regular expression that backtracks for ever': endless(
    'import re\nre.match("(a+)+$", "a" * 40 + "b")',
  ),
  'a `__repr__` that never ends': endless(
    'class Endless:\n  def __repr__(self):\n    while True: pass\nEndless()',
  ),
  'threads that sleep, and are waited for': endless(`import threading, time
threads = [threading.Thread(target=time.sleep, args=(60,), daemon=True) for _ in range(5)]
for thread in threads: thread.start()
for thread in threads: thread.join()`),
  '`subprocess.run(["sleep", "60"])`': endless(
    'import subprocess\nsubprocess.run(["sleep", "60"])',
  ),
  'the same with a child that ignores SIGINT': endless(
    `import subprocess\nsubprocess.run(["sh", "-c", "trap '' INT; sleep 60"])`,
  ),
  '`!sleep 60`': {
    ...LIMITS,
    code: '!sleep 60',
    sees: (ran) => expect(textOf(ran)).toMatch(/\^C/),
  },
  '`await asyncio.sleep(60)`': {
    ...endless('import asyncio\nawait asyncio.sleep(60)'),
    sees: shows('CancelledError'),
  },
  '`while True: pass` after an `await`': {
    ...endless('import asyncio\nawait asyncio.sleep(0)\nwhile True: pass'),
    sees: shows('KeyboardInterrupt'),
  },
  'a task that computes, and is awaited': {
    ...endless(
      'import asyncio\nasync def work():\n  while True: pass\nawait asyncio.gather(work())',
    ),
    sees: shows('CancelledError'),
  },
  'a kernel that stops itself with SIGSTOP': endless(
    'import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass',
  ),
  'a daemon that was forked twice, then a loop': endless(
    'import subprocess\nsubprocess.run(["sh", "-c", "setsid sleep 60 &"])\nwhile True: pass',
  ),
  'a loop that a `pre_execute` hook delays beyond its time limit': {
    ...LIMITS,
    before: `import functools, time
held = functools.partial(time.sleep, ${(2 * TIMEOUT_MS) / 1_000})
get_ipython().events.register("pre_execute", held)`,
    code: 'print("never")\nwhile True: pass',
    stdout: '',
    sees: shows('Interrupted before the code began'),
    next: 'get_ipython().events.unregister("pre_execute", held)',
  },
  'a loop after an `except` that swallows an interrupt': {
    ...endless('try:\n  while True: pass\nexcept: pass\nwhile True: pass', AGAIN_LIMITS),
    sees: shows('KeyboardInterrupt'),
  },
  '`except BaseException` in a loop': stubborn(
    'while True:\n  try:\n    while True: pass\n  except BaseException: pass',
  ),
  'SIGINT ignored': stubborn(
    'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass',
  ),
  '`CancelledError` caught in a loop': stubborn(`import asyncio
while True:
  try: await asyncio.sleep(60)
  except BaseException: pass`),
  'C code that holds the interpreter': stubborn('sum(range(10 ** 13))'),
  'a fork bomb': stubborn(`import os, sys
while True:
  try: os.fork()
  except OSError: pass`),
  'code that is blocked by a task of an earlier execution': {
    before: BLOCKING_TASK,
    code: 'print("mine")',
    // The task is interrupted after a second in which it had a CPU. The fork bomb before it may leave it little.
    timeoutMs: 60_000,
    endsWithinMs: 1_000 + HEEDS_WITHIN_MS,
    stdout: 'mine\n',
    next: 'print(task.cancelled())',
    nextStdout: 'True\n',
  },
  'code that is blocked by a thread of an earlier execution': {
    ...STUBBORN_LIMITS,
    before: 'import threading\nthreading.Timer(0.02, lambda: sum(range(10 ** 13))).start()',
    code: 'import time\ntime.sleep(0.1)\nprint("never")',
  },
});
