/** What the agent does besides running code: limits, seqs, epochs, measurements, variables and contexts. */
import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { requestAgent } from '../../src/kernel/agent/createAgentCalls.ts';
import { AGENT_OPERATIONS, type OperationName } from '../../src/kernel/agent/operations.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type Ran, recordChannel, textOf } from '../../testkit/kernelRunner.ts';
import { useKernel } from '../support/kernelContract.ts';

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

describe('the agent', () => {
  const kernel = useKernel();

  it('measures executions', async () => {
    const { outcome } = await kernel.runner.run(
      'print("abc")\nx = sum(i for i in range(2_000_000))',
    );
    expect(outcome.outputBytes).toBe(4);
    expect(outcome.cpuMs).toBeGreaterThan(10);
    expect(outcome.peakMemoryBytes).toBeGreaterThan(10_000_000);
    expect(outcome.finishedAt).toBeGreaterThan(outcome.startedAt ?? Number.POSITIVE_INFINITY);
  });

  it('ends code at its limit and keeps the state', async () => {
    await kernel.runner.run('kept = 5');
    const ran = await kernel.runner.run('while True: pass', { timeoutMs: 300 });
    expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', errorName: null, stateLost: false });
    expect(textOf(await kernel.runner.run('print(kept)'))).toBe('5\n');
  });

  it('replaces the kernel of code that ignores the interrupt at its limit', async () => {
    const code = 'while True:\n try:\n  while True: pass\n except KeyboardInterrupt: pass';
    const ran = await kernel.runner.run(code, { timeoutMs: 200, graceMs: 200 });
    expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', stateLost: true });
    expect((await kernel.runner.run('kept')).outcome).toMatchObject({ errorName: 'NameError' });
  });

  it.each(Object.keys(AGENT_OPERATIONS) as OperationName[])(
    'has the operation %s',
    async (name) => {
      const { method } = AGENT_OPERATIONS[name];
      // Without an epoch, the agent refuses a request that would change something. A GET needs no epoch.
      const ask = {
        method,
        path: `/${name}`,
        timeoutMs: 5_000,
        body: method === 'GET' ? null : {},
      };
      const { signal } = new AbortController();
      const { status } = await requestAgent(socketAddress(kernel.relay.socketPath), ask, signal);
      expect(status).toBe(method === 'GET' ? 200 : 400);
    },
  );

  it('answers health and usage', async () => {
    const { channel } = kernel.runner.recorded;
    const bootId = channel.hello?.bootId;
    expect(await channel.call('health', {})).toEqual({
      bootId,
      kernel: 'idle',
      features: ['processes'],
      kernelInfo: expect.objectContaining({ implementation: 'ipython', protocolVersion: '5.3' }),
    });
    const use = await channel.call('usage', {});
    expect(use.cpuMs).toBeGreaterThan(0);
    expect(use.memoryBytes).toBeLessThan(use.memoryLimitBytes);
    expect(use.oomKills).toBe(0);
    expect(use.cacheBytes).toBeGreaterThanOrEqual(0);
    expect(use.diskBytes).toBeLessThan(use.diskLimitBytes ?? 0);
    expect((await channel.call('usage', {})).clockMs).toBeGreaterThan(use.clockMs ?? Infinity);
  });

  it('sets variables before the code that is sent next, and in the next kernel', async () => {
    const { channel } = kernel.runner.recorded;
    const variables = { TOKEN: 's3cret "\n漢', EMPTY: '' };
    const shown = 'import json, os; print(json.dumps([os.environ["TOKEN"], os.environ["EMPTY"]]))';
    const show = async () => JSON.parse(textOf(await kernel.runner.run(shown)));
    expect(await channel.call('variables', { variables })).toEqual({ count: 2 });
    expect(await show()).toEqual(Object.values(variables));
    await channel.call('restart', { requestId: newId() });
    expect(await show()).toEqual(Object.values(variables));
  });

  it('has contexts beside its default kernel, and reports their changes on the channel', async () => {
    const { channel, messages, until } = kernel.runner.recorded;
    const contextId = newId();
    const toldOf = () =>
      messages.flatMap((message) => {
        if (message.type === 'context' && message.contextId === contextId) return [message.state];
        const isRestart = message.type === 'status' && message.contextId === contextId;
        return isRestart ? [message.reason] : [];
      });
    const make = (workingDirectory: string) =>
      channel.call('contexts', { contextId, workingDirectory });
    await expect(make('/nowhere')).rejects.toMatchObject({ code: 'not_found' });
    await expect(make('/etc/passwd')).rejects.toMatchObject({ code: 'not_a_directory' });
    expect(await make('/tmp')).toEqual({ kernelGeneration: 1 });
    expect(await make('/tmp')).toEqual({ kernelGeneration: 1 });
    const context = { id: contextId, workingDirectory: '/tmp' };
    const run = async (code: string) => textOf(await kernel.runner.run(code, { context }));
    expect(await run('import os; beside = 1; print(os.getcwd())')).toBe('/tmp\n');
    expect((await kernel.runner.run('beside')).outcome).toMatchObject({ errorName: 'NameError' });
    expect(await channel.call('restart', { requestId: newId(), contextId })).toEqual({
      kernelGeneration: 2,
    });
    expect(await run('print("beside" in globals())')).toBe('False\n');
    const remove = { contextId, requestId: newId() };
    expect(await channel.call('delete_context', remove)).toEqual({ deleted: true });
    expect(await channel.call('delete_context', remove)).toEqual({ deleted: true });
    await until(() => toldOf().includes('ended'));
    expect(toldOf()).toEqual(['ready', 'user', 'ended']);
    await expect(make('/tmp')).rejects.toMatchObject({ code: 'no_context' });
  });

  it('interrupts only the execution that is named', async () => {
    const { channel } = kernel.runner.recorded;
    const msgId = newId<ExecutionId>();
    const running = kernel.runner.run('print("go", flush=True)\nimport time\ntime.sleep(15)', {
      msgId,
    });
    await kernel.runner.recorded.until(() =>
      kernel.runner.recorded.messages.some(
        ({ type, parentId }) => type === 'output' && parentId === msgId,
      ),
    );
    const another = newId<ExecutionId>();
    const [stop, stopAnother] = [newId(), newId()];
    expect(await channel.call('interrupt', { msgId: another, requestId: stopAnother })).toEqual({
      interrupted: false,
      known: false,
    });
    expect(await channel.call('interrupt', { msgId, requestId: stop })).toEqual({
      interrupted: true,
      known: true,
    });
    expect((await running).outcome).toMatchObject({ status: 'INTERRUPTED', stateLost: false });
    const refused = (await kernel.runner.run('print("never")', { msgId: another })).outcome;
    expect(refused).toMatchObject({ status: 'INTERRUPTED', startedAt: null, outputBytes: 0 });
    expect(await channel.call('interrupt', { msgId, requestId: stop })).toEqual({
      interrupted: false,
      known: true,
    });
  });

  it('runs one msg_id once, however often it is sent', async () => {
    const msgId = newId<ExecutionId>();
    await kernel.runner.run('count = 0');
    const running = kernel.runner.run('count += 1\nimport time; time.sleep(0.3)', { msgId });
    const request = { msgId, code: 'count += 1', timeoutMs: 999, graceMs: 9, maxOutputBytes: 999 };
    expect(kernel.runner.recorded.channel.execute(request)).toBe(true);
    await running;
    expect(kernel.runner.recorded.channel.execute(request)).toBe(true);
    expect(textOf(await kernel.runner.run('print(count)'))).toBe('1\n');
  });

  it('keeps lone surrogates exactly as they are: printed, raised, and as a result', async () => {
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

  it('hands a running execution over to a successor, with nothing lost or doubled', async () => {
    const msgId = newId<ExecutionId>();
    const code = 'import time\nfor i in range(20):\n print(i, flush=True)\n time.sleep(0.02)';
    void kernel.runner.run(code, { msgId });
    const { messages } = kernel.runner.recorded;
    const mine = () => messages.filter(({ parentId }) => parentId === msgId);
    await kernel.runner.recorded.until(() => mine().length >= 8);
    const after = mine()[4]?.seq ?? 0;
    const seen = mine().slice(0, 5);
    kernel.runner.recorded.channel.ack(after);
    const bootId = kernel.runner.recorded.channel.hello?.bootId ?? '';
    const successor = recordChannel({ address: kernel.server.address, epoch: 2, after, bootId });
    await successor.until(() => successor.messages.at(-1)?.type === 'reply');
    await kernel.runner.recorded.until(() => kernel.runner.recorded.told.includes('fenced'));
    const texts = [...seen, ...successor.messages].flatMap((message) =>
      message.type === 'output' && message.output.kind === 'stream' ? [message.output.text] : [],
    );
    expect(texts.join('')).toBe(Array.from({ length: 20 }, (_, i) => `${i}\n`).join(''));
    await expect(
      kernel.runner.recorded.channel.call('interrupt', { msgId, requestId: newId() }),
    ).rejects.toThrow();
    await successor.channel.close();
  });
});

describe('an agent with a gateway', () => {
  const kernel = useKernel();

  it('has one client: a new client replaces the former one, even with an equal epoch', async () => {
    await kernel.runner.run('1');
    const { channel, until, told } = kernel.runner.recorded;
    const cursor = { after: channel.lastSeq, bootId: channel.hello?.bootId ?? '' };
    const other = recordChannel({ address: kernel.server.address, ...cursor });
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
