/**
 * Where a plain Jupyter Server with a stock ipykernel (6.29, Debian's) does less than the contract asks, side by side
 * with what our agent and kernel do. The rest of the contract's tests run against both unchanged.
 */
import { describe, expect, it } from 'vitest';
import { recordChannel } from '../../testkit/channelRecorder.ts';
import { createKernelRunner, type Ran, textOf } from '../../testkit/kernelRunner.ts';
import { KERNELS, useKernel } from '../support/kernelContract.ts';

const [plain, ours] = KERNELS;

/** The output on both streams in order, with adjacent pieces joined. */
function interleaved({ outputs }: Ran): string {
  return outputs.map((output) => (output.kind === 'stream' ? output.text : '')).join('');
}

const BOTH_STREAMS = `
import sys
for i in range(3):
    print("o", i)
    print("e", i, file=sys.stderr)`;
const LONE = String.raw`\ud800 \udfff`;

describe('a plain Jupyter Server', () => {
  const kernel = useKernel(plain);

  it('loses printed text with a lone surrogate: its messages are UTF-8, which has none', async () => {
    const ran = await kernel.runner.run(`print("${LONE}")`);
    expect(textOf(ran)).not.toContain('\ud800');
    expect(textOf(ran, 'stderr')).toContain('surrogates not allowed');
  });

  it('replaces an error whose text has a lone surrogate by another, for the same reason', async () => {
    const ran = await kernel.runner.run(`raise ValueError("${LONE}")`);
    expect(ran.outcome).toMatchObject({ errorName: 'UnicodeEncodeError' });
  });

  it('never answers code whose result has a lone surrogate: the error hits the kernel itself', async () => {
    let isAnswered = false;
    void kernel.runner.run(`"${LONE}"`).then(() => {
      isAnswered = true;
    });
    // Requests are handled in order: once this one is answered, the former one never will be.
    expect((await kernel.runner.run('print("next")')).outcome.status).toBe('OK');
    expect(isAnswered).toBe(false);
  });

  it('loses the order of stdout and stderr: each has a buffer of its own', async () => {
    const ran = await kernel.runner.run(BOTH_STREAMS);
    expect(interleaved(ran)).not.toBe('o 0\ne 0\no 1\ne 1\no 2\ne 2\n');
  });

  it('serves two clients at once (a worker has one gateway), and neither gets the other’s messages', async () => {
    const other = createKernelRunner(kernel.server.targetAt(kernel.server.socketPath));
    const runs = await Promise.all(
      [kernel.runner, other].map((runner, n) => runner.run(`for i in range(100): print(${n})`)),
    );
    for (const [n, ran] of runs.entries()) {
      expect(textOf(ran)).toBe(`${n}\n`.repeat(100));
      expect(ran.outcome.status).toBe('OK');
    }
    await other.close();
  });
});

describe('our agent', () => {
  const kernel = useKernel(ours);

  it('brings lone surrogates through exactly: printed, raised, as a result, and in the code itself', async () => {
    expect(textOf(await kernel.runner.run(`print("${LONE}")`))).toBe('\ud800 \udfff\n');
    const raised = await kernel.runner.run(`raise ValueError("${LONE}")`);
    expect(raised.outcome).toMatchObject({
      errorName: 'ValueError',
      errorValue: '\ud800 \udfff',
    });
    const shown = await kernel.runner.run(`from IPython.display import Pretty\nPretty("${LONE}")`);
    expect(shown.outputs).toMatchObject([
      { kind: 'result', data: { 'text/plain': '\ud800 \udfff' } },
    ]);
  });

  it('keeps the order of stdout and stderr', async () => {
    const ran = await kernel.runner.run(BOTH_STREAMS);
    expect(interleaved(ran)).toBe('o 0\ne 0\no 1\ne 1\no 2\ne 2\n');
  });

  it('has one client: the next one replaces it, even with an equal epoch', async () => {
    const { channel, until, told } = kernel.runner.recorded;
    const cursor = { after: channel.lastSeq, bootId: channel.hello?.bootId ?? '' };
    const other = recordChannel({ target: kernel.server.target, ...cursor });
    await until(() => told.includes('fenced'));
    expect(channel.state).toBe('closed');
    await other.until(() => other.channel.state === 'open');
    const limits = { timeoutMs: 9_000, graceMs: 9_000, maxOutputBytes: 9_000 };
    other.channel.execute({ msgId: 'other', code: 'print("mine")', ...limits });
    await other.until(() => other.messages.at(-1)?.type === 'reply');
    expect(other.messages.find(({ type }) => type === 'output')).toMatchObject({
      parentId: 'other',
      output: { text: 'mine\n' },
    });
    await other.channel.close();
  });
});
