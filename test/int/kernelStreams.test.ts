/** Code that replaces streams and functions of its kernel, and output that does not come from Python's streams. */

import { expect } from 'vitest';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { type Ran, textOf } from '../../testkit/kernelRunner.ts';
import { testBehaviours } from '../support/behaviours.ts';

const hasResult =
  (text: string) =>
  ({ outputs }: Ran) =>
    expect(outputs.at(-1)).toMatchObject({ kind: 'result', data: { 'text/plain': text } });

/** A busy machine starts a hundred processes, one after the other, within this time. */
const MANY_CHILDREN_MS = 50_000;

testBehaviours('Streams, names and magics', {
  '`print("\\ud800")`, half of a surrogate pair': {
    code: String.raw`print("\ud800")`,
    stdout: '\ud800\n',
  },
  '`print("\\x00")`': { code: String.raw`print("\x00")`, stdout: '\u0000\n' },
  'a comment only': { code: '# nothing', stdout: '' },
  '`sys.stdout = None`': {
    code: 'import sys\nprint("seen")\nsys.stdout = None\nprint("unseen")',
    stdout: 'seen\n',
    next: 'print("seen again")',
    nextStdout: 'seen again\n',
  },
  '`sys.stdout` replaced by what cannot be flushed': {
    code: `import sys
class Broken:
    def write(self, text): return len(text)
    def flush(self): raise ValueError("broken")
print("seen")
sys.stdout = Broken()
print("unseen")`,
    stdout: 'seen\n',
    next: 'print("seen again")',
    nextStdout: 'seen again\n',
  },
  '`sys.stdout = io.StringIO()`': {
    code: 'import io, sys\nours = sys.stdout\nprint("seen")\nsys.stdout = io.StringIO()\nprint("unseen")',
    stdout: 'seen\n',
    next: 'text = sys.stdout.getvalue()\nsys.stdout = ours\nprint(text, end="")',
    nextStdout: 'unseen\n',
  },
  '`print` replaced': {
    code: 'import builtins\nkept = print\nbuiltins.print = lambda *_: kept("mine")\nprint("yours")',
    stdout: 'mine\n',
    next: 'builtins.print = kept',
  },
  '`json.dumps` replaced': {
    code: 'import json\njson.dumps = lambda *_, **__: "{}"\nprint("seen")\n"result"',
    stdout: 'seen\n',
    sees: hasResult("'result'"),
    next: 'import importlib, json\nreloaded = importlib.reload(json)',
  },
  '`sys.displayhook` replaced': {
    code: 'import sys\nsys.displayhook = lambda value: print("hook", value)\n6 * 7',
    stdout: 'hook 42\n',
  },
  '`del get_ipython`': { code: 'del get_ipython\n6 * 7', sees: hasResult('42') },
  '`%reset -f`': {
    code: '%reset -f\nprint("variable" in globals())',
    stdout: 'False\n',
    next: 'variable = 1',
  },
  '`!cmd`': { code: '!echo out', stdout: 'out\r\n' },
  '`%%bash`': { code: '%%bash\necho out\necho err >&2', stdout: 'out\n', stderr: 'err\n' },
  '`await` at top level': {
    code: 'import asyncio\nawait asyncio.sleep(0, "awaited")',
    sees: hasResult("'awaited'"),
  },
  '`os.write(1, ...)` between two prints': {
    code: 'import os\nprint("a")\nn = os.write(1, b"b\\n")\nprint("c")\nn = os.write(1, b"d\\n")',
    stdout: 'a\nb\nc\nd\n',
  },
  'a child process that prints between two prints': {
    code: 'import subprocess\nprint("a")\ndone = subprocess.run(["echo", "b"])\nprint("c")',
    stdout: 'a\nb\nc\n',
  },
  'a child process that prints in the middle of a line': {
    code: `import subprocess
for n in range(100):
    print("a", end="")
    done = subprocess.run(["printf", "b"])
    print()`,
    timeoutMs: MANY_CHILDREN_MS,
    stdout: 'ab\n'.repeat(100),
  },
  'a forked child that prints in the middle of a line': {
    code: `import os
for n in range(20):
    print("a", end="")
    child = os.fork()
    if not child:
        print("b", end="", flush=True)
        os._exit(0)
    done = os.waitpid(child, 0)
    print()`,
    timeoutMs: MANY_CHILDREN_MS,
    stdout: 'ab\n'.repeat(20),
  },
  'half a character from C, and the other half later': {
    code: 'import os, time\nn = os.write(1, b"\\xc3")\ntime.sleep(0.1)\nn = os.write(1, b"\\xa9")',
    stdout: 'é',
  },
  '`subprocess.run(..., stdout=sys.stdout)`': {
    code: 'import subprocess, sys\ndone = subprocess.run(["echo", "out"], stdout=sys.stdout)',
    stdout: 'out\n',
  },
  '`os.dup2` over descriptor 1': {
    code: `import os
n = os.dup2(os.open("${WORKER_HOME}/sent", os.O_CREAT | os.O_WRONLY), 1)
print("python")
n = os.write(1, b"raw")`,
    stdout: 'python\n',
    next: `n = os.write(1, b"back\\n")\nprint(open("${WORKER_HOME}/sent").read())`,
    nextStdout: 'back\nraw\n',
  },
  '`os.close(1)`': {
    code: 'import os\nos.close(1)\nprint("python")',
    stdout: 'python\n',
    next: 'n = os.write(1, b"back\\n")',
    nextStdout: 'back\n',
  },
  '`faulthandler.dump_traceback()`': {
    code: 'import faulthandler\nfaulthandler.dump_traceback()',
    stdout: '',
    sees: (ran) => expect(textOf(ran, 'stderr')).toContain('most recent call first'),
  },
  'a signal handler that prints while the code prints': {
    code: `import signal, time
signal.signal(signal.SIGALRM, lambda *_: print("!", end=""))
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
end = time.monotonic() + 0.3
while time.monotonic() < end: print(".", end="")
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_DFL)`,
    sees: (ran) => expect(textOf(ran)).toMatch(/^[.!]*!\.[.!]*$/),
  },
  'a signal handler that prints while the code and a child process print': {
    code: `import signal, subprocess, time
signal.signal(signal.SIGALRM, lambda *_: print("!", end=""))
child = subprocess.Popen(["sh", "-c", "while :; do echo c; sleep 0.0002; done"])
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
end = time.monotonic() + 1
while time.monotonic() < end: print(".", end="")
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
child.kill()
n = child.wait()`,
    sees: (ran) => expect(textOf(ran)).toMatch(/^[.!c\n]*!\.[.!c\n]*$/),
  },
});
