/** What users see at a limit of the container or of the output. security/limits.test.ts tests that the limits hold. */

import { expect } from 'vitest';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { type Ran, textOf } from '../../testkit/kernelRunner.ts';
import { testBehaviours } from '../support/behaviours.ts';

const MIB = 1_048_576;
/** The container's memory, without and with its disk. */
const [MEMORY_BYTES, ALL_BYTES] = [512 * MIB, 768 * MIB];

const fill = (path: string): string => `with open("${path}", "wb", buffering=0) as file:
    while file.write(bytes(1 << 20)): pass`;
const FILL_DISKS = `for folder in ("${WORKER_HOME}", "/tmp"):
    try:
        with open(f"{folder}/full", "wb", buffering=0) as file:
            while file.write(bytes(1 << 12)): pass
    except OSError: pass`;
const EMPTY_DISKS = `import os\nfor folder in ("${WORKER_HOME}", "/tmp"): os.remove(f"{folder}/full")`;
const CHART = 'import matplotlib.pyplot as plt\nlines = plt.plot([0, 1])\nplt.show()';

const isFull = ({ outcome }: Ran): void =>
  expect(outcome.errorValue).toContain('No space left on device');
const isChart = ({ outputs }: Ran): void =>
  expect(outputs).toMatchObject([{ kind: 'display', data: { 'image/png': expect.any(String) } }]);
const kindsOf = ({ outputs }: Ran): string[] => outputs.map(({ kind }) => kind);

testBehaviours('Limits of the container', {
  'more memory than there is': {
    before: `open("${WORKER_HOME}/kept", "w").write("kept")`,
    code: 'print("before")\nhuge = bytearray(1_500_000_000)',
    stdout: 'before\n',
    sees: ({ outcome }) => {
      expect(outcome.peakMemoryBytes).toBeGreaterThan(MEMORY_BYTES / 2);
      expect(outcome.peakMemoryBytes).toBeLessThanOrEqual(ALL_BYTES);
    },
    next: `print(open("${WORKER_HOME}/kept").read())`,
    nextStdout: 'kept\n',
  },
  'a child process that takes more memory than there is': {
    code: `import subprocess
child = subprocess.run(["python3", "-c", "huge = bytearray(1_500_000_000)"])
print(child.returncode)`,
    stdout: '-9\n',
  },
  [`\`${WORKER_HOME}\` full`]: {
    code: fill(`${WORKER_HOME}/full`),
    sees: isFull,
    next: `import os\nos.remove("${WORKER_HOME}/full")`,
  },
  '`/tmp` full': {
    code: fill('/tmp/full'),
    sees: isFull,
    next: 'import os\nos.remove("/tmp/full")',
  },
  '`/dev/shm` full': {
    code: fill('/dev/shm/full'),
    sees: isFull,
    next: 'import os\nos.remove("/dev/shm/full")',
  },
  [`a chart while \`${WORKER_HOME}\` and \`/tmp\` are full`]: {
    before: FILL_DISKS,
    code: CHART,
    stderr: '',
    sees: isChart,
    next: `${EMPTY_DISKS}\nprint("emptied")`,
    nextStdout: 'emptied\n',
  },
  'a fresh kernel, and a chart, on full disks': {
    before: FILL_DISKS,
    // The kernel is replaced after the code was accepted.
    running: 'import time\ntime.sleep(0.2)\nquit()',
    code: CHART,
    stderr: '',
    sees: isChart,
    next: EMPTY_DISKS,
  },
  'too many threads': {
    code: `import threading
is_over = threading.Event()
for _ in range(500): threading.Thread(target=is_over.wait, daemon=True).start()`,
    sees: ({ outcome }) => expect(outcome.errorValue).toContain("can't start new thread"),
    next: 'is_over.set()',
  },
  'too many open files': {
    code: 'files = []\nwhile True: files.append(open("/dev/null"))',
    sees: ({ outcome }) => expect(outcome.errorValue).toContain('Too many open files'),
    next: 'for file in files: file.close()',
  },
  'one output of more than 16 MiB': {
    code: 'display("before")\ndisplay("x" * 17_000_000)\ndisplay("after")',
    sees: (ran) => {
      expect(ran.outcome.truncated).toBe(true);
      expect(kindsOf(ran).sort()).toEqual(['display', 'display', 'gap']);
      const gap = ran.outputs.find(({ kind }) => kind === 'gap');
      expect(gap).toMatchObject({ reason: 'message_too_large' });
    },
  },
  'one print of more than 16 MiB': {
    code: 'print("x" * 17_000_000)',
    sees: (ran) => {
      expect(textOf(ran).length).toBe(17_000_001);
      expect(ran.outcome.truncated).toBe(false);
    },
  },
  'more output than `MAX_OUTPUT_BYTES`': {
    code: 'for number in range(10_000): print(f"{number:09}")',
    maxOutputBytes: 50_000,
    sees: (ran) => {
      expect(textOf(ran)).toBe(
        Array.from({ length: 5_000 }, (_, line) => `${String(line).padStart(9, '0')}\n`).join(''),
      );
      const gaps = ran.outputs.filter(({ kind }) => kind === 'gap');
      expect(gaps).toMatchObject([{ reason: 'output_limit', droppedBytes: 50_000 }]);
    },
  },
});
