/** What every kernel must do for the pool, ours and a stock one behind Debian's jupyter-server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExecutionId, newId } from '../../src/ids.ts';
import { recordChannel } from '../support/channelRecorder.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../support/kernelRunner.ts';
import { type KernelServer, startAgent, startJupyterServer } from '../support/kernelServers.ts';

/** The first run on a machine installs packages into an image. */
const PREPARE_TIMEOUT_MS = 600_000;
/** jupyter-server looks every 3 s whether a kernel still lives, and needs another second or two for the next one. */
const DEATH_TIMEOUT_MS = 30_000;

const servers = [
  { name: "Debian's jupyter-server", start: startJupyterServer, isOurs: false },
  { name: 'our agent', start: startAgent, isOurs: true },
];

describe.each(servers)('a kernel behind $name', ({ start, isOurs }) => {
  let server: KernelServer;
  let runner: KernelRunner;

  beforeAll(async () => {
    server = await start();
    runner = createKernelRunner(server.target);
  }, PREPARE_TIMEOUT_MS);
  afterAll(async () => {
    await runner?.close();
    await server?.close();
  });

  it('keeps state from one execution to the next', async () => {
    await runner.run('a = 10');
    const ran = await runner.run('print(a * 20)');
    expect(textOf(ran)).toBe('200\n');
    expect(ran.outcome).toMatchObject({ status: 'OK', stateLost: false, truncated: false });
    expect(ran.starts).toBe(1);
  });

  it('tells stdout from stderr, and both before the result', async () => {
    const ran = await runner.run('import sys\nprint("o")\nprint("e", file=sys.stderr)\n41 + 1');
    expect(textOf(ran)).toBe('o\n');
    expect(textOf(ran, 'stderr')).toBe('e\n');
    expect(ran.outputs.at(-1)).toMatchObject({
      kind: 'result',
      data: { 'text/plain': '42' },
      executionCount: ran.outcome.executionCount,
    });
  });

  it('keeps the order of many outputs of several kinds', async () => {
    const ran = await runner.run(
      'for i in range(50):\n print(f"{i},", end="", flush=True)\n display(i)',
    );
    const order = ran.outputs.flatMap((output) => {
      if (output.kind === 'stream') return output.text.split(',').filter(Boolean);
      return output.kind === 'display' ? [`d${output.data['text/plain']}`] : [];
    });
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => [`${i}`, `d${i}`]).flat());
  });

  it('shows rich output, updates it by its id, and clears', async () => {
    const ran = await runner.run(
      [
        'from IPython.display import HTML, clear_output',
        'handle = display(HTML("<b>1</b>"), display_id="the-id")',
        'handle.update(HTML("<b>2</b>"))',
        'clear_output(wait=True)',
      ].join('\n'),
    );
    expect(ran.outputs).toMatchObject([
      { kind: 'display', data: { 'text/html': '<b>1</b>' }, displayId: 'the-id' },
      { kind: 'update', data: { 'text/html': '<b>2</b>' }, displayId: 'the-id' },
      { kind: 'clear', wait: true },
    ]);
  });

  it('tells an error once, with the output before it', async () => {
    const ran = await runner.run('print("before")\n1 / 0');
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName: 'ZeroDivisionError',
      errorValue: 'division by zero',
    });
    expect(ran.outputs.map(({ kind }) => kind)).toEqual(['stream', 'error']);
    expect(ran.outputs[1]).toMatchObject({ name: 'ZeroDivisionError' });
  });

  it.each([
    ['blank', '  \n'],
    ['only a comment', '# nothing'],
  ])('runs code that is %s', async (_name, code) => {
    expect(await runner.run(code)).toMatchObject({ outputs: [], outcome: { status: 'OK' } });
  });

  it.each([
    ['syntax that is none', 'a b', 'SyntaxError'],
    ['input(), which nobody can answer', 'input()', 'StdinNotImplementedError'],
  ])('makes an error of %s', async (_name, code, errorName) => {
    expect((await runner.run(code)).outcome).toMatchObject({ status: 'ERROR', errorName });
  });

  it('brings odd text through exactly, both ways', async () => {
    const odd = 'nul \u0000, ünï, 正弦波, 🐍, \u2028, \ufeff';
    const ran = await runner.run(`text = ${JSON.stringify(odd)}\nprint(text, len(text))`);
    expect(textOf(ran)).toBe(`${odd} ${[...odd].length}\n`);
  });

  // Plain ipykernel 6.29 never answers such code.
  if (isOurs) {
    it('brings lone surrogates through exactly', async () => {
      const ran = await runner.run(String.raw`print("\ud800 \udfff x")`);
      expect(textOf(ran)).toBe('\ud800 \udfff x\n');
    });
  }

  it('brings a megabyte in one line', async () => {
    const ran = await runner.run('print("é" * 1_000_000)');
    expect(textOf(ran)).toBe(`${'é'.repeat(1_000_000)}\n`);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: false });
  });

  it('steps over messages of types that concern nobody', async () => {
    const before = runner.recorded.counts.invalid;
    const ran = await runner.run(
      [
        'kernel = get_ipython().kernel',
        'kernel.session.send(kernel.iopub_socket, "a_new_type", {"x": 1}, parent=kernel.get_parent("shell"))',
        'print("after")',
      ].join('\n'),
    );
    expect(textOf(ran)).toBe('after\n');
    expect(ran.outcome.status).toBe('OK');
    expect(runner.recorded.counts.invalid).toBe(before);
  });

  it('keeps no more output than allowed, and says so', async () => {
    const ran = await runner.run('for i in range(20):\n print("x" * 50_000, flush=True)', {
      maxOutputBytes: 200_000,
    });
    expect(textOf(ran).length).toBeLessThanOrEqual(200_000);
    expect(textOf(ran).length).toBeGreaterThan(100_000);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: true });
    expect(ran.outputs.filter(({ kind }) => kind === 'gap')).toMatchObject([
      { reason: 'output_limit' },
    ]);
  });

  it('tells of a dead kernel once, and a fresh one takes over', {
    timeout: DEATH_TIMEOUT_MS,
  }, async () => {
    await runner.run('survivor = 1');
    const ran = await runner.run(
      'print("last words", flush=True)\nimport os\nos.kill(os.getpid(), 9)',
    );
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName: 'KernelDied',
      stateLost: true,
      exitCode: isOurs ? -9 : null,
    });
    expect(ran.outputs.at(-1)).toMatchObject({ kind: 'error', name: 'KernelDied' });
    const next = await runner.run('survivor');
    expect(next.outcome).toMatchObject({ status: 'ERROR', errorName: 'NameError' });
  });
});

describe('what only our agent does', () => {
  let server: KernelServer;
  let runner: KernelRunner;

  beforeAll(async () => {
    server = await startAgent();
    runner = createKernelRunner(server.target);
  }, PREPARE_TIMEOUT_MS);
  afterAll(async () => {
    await runner?.close();
    await server?.close();
  });

  it('measures', async () => {
    const { outcome } = await runner.run('print("abc")\nx = sum(i for i in range(2_000_000))');
    expect(outcome.outputBytes).toBe(4);
    expect(outcome.cpuMs).toBeGreaterThan(10);
    expect(outcome.peakMemoryBytes).toBeGreaterThan(10_000_000);
    expect(outcome.finishedAt).toBeGreaterThan(outcome.startedAt ?? Number.POSITIVE_INFINITY);
  });

  it('ends code at its limit and keeps the state', async () => {
    await runner.run('kept = 5');
    const ran = await runner.run('while True: pass', { timeoutMs: 300 });
    expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', errorName: null, stateLost: false });
    expect(textOf(await runner.run('print(kept)'))).toBe('5\n');
  });

  it('replaces the kernel of code that ignores it', async () => {
    const code = 'while True:\n try:\n  while True: pass\n except KeyboardInterrupt: pass';
    const ran = await runner.run(code, { timeoutMs: 200, graceMs: 200 });
    expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', stateLost: true });
    expect((await runner.run('kept')).outcome).toMatchObject({ errorName: 'NameError' });
  });

  it('interrupts the very execution that was asked for', async () => {
    const { channel } = runner.recorded;
    const msgId = newId<ExecutionId>();
    const running = runner.run('print("go", flush=True)\nimport time\ntime.sleep(15)', { msgId });
    await runner.recorded.until(() =>
      runner.recorded.messages.some(
        ({ type, parentId }) => type === 'output' && parentId === msgId,
      ),
    );
    const another = newId<ExecutionId>();
    const [stop, stopAnother] = [newId(), newId()];
    expect(await channel.http.interrupt(another, stopAnother)).toEqual({
      interrupted: false,
      known: false,
    });
    expect(await channel.http.interrupt(msgId, stop)).toEqual({ interrupted: true, known: true });
    expect((await running).outcome).toMatchObject({ status: 'INTERRUPTED', stateLost: false });
    const refused = (await runner.run('print("never")', { msgId: another })).outcome;
    expect(refused).toMatchObject({ status: 'INTERRUPTED', startedAt: null, outputBytes: 0 });
    expect(await channel.http.interrupt(msgId, stop)).toEqual({ interrupted: false, known: true });
  });

  it('restarts the kernel under a running execution', async () => {
    const { channel } = runner.recorded;
    await runner.run('kept = 6');
    const running = runner.run('import time\ntime.sleep(15)');
    await runner.recorded.until(
      () => runner.recorded.messages.at(-1)?.type === 'status' && isBusy(runner),
    );
    await channel.http.restart(newId());
    expect((await running).outcome).toMatchObject({ status: 'INTERRUPTED', stateLost: true });
    expect((await runner.run('kept')).outcome).toMatchObject({ errorName: 'NameError' });
  });

  it('runs one msg_id once, however often it is sent', async () => {
    const msgId = newId<ExecutionId>();
    await runner.run('count = 0');
    const running = runner.run('count += 1\nimport time; time.sleep(0.3)', { msgId });
    const request = { msgId, code: 'count += 1', timeoutMs: 999, graceMs: 9, maxOutputBytes: 999 };
    expect(runner.recorded.channel.execute(request)).toBe(true);
    await running;
    expect(runner.recorded.channel.execute(request)).toBe(true);
    expect(textOf(await runner.run('print(count)'))).toBe('1\n');
  });

  it('hands over to a successor in the middle, nothing lost or doubled', async () => {
    const msgId = newId<ExecutionId>();
    const code = 'import time\nfor i in range(20):\n print(i, flush=True)\n time.sleep(0.02)';
    void runner.run(code, { msgId });
    const { messages } = runner.recorded;
    const mine = () => messages.filter(({ parentId }) => parentId === msgId);
    await runner.recorded.until(() => mine().length >= 8);
    const after = mine()[4]?.seq ?? 0;
    const seen = mine().slice(0, 5);
    runner.recorded.channel.ack(after);
    const bootId = runner.recorded.channel.hello?.bootId ?? '';
    const successor = recordChannel({ target: server.target, epoch: 2, after, bootId });
    await successor.until(() => successor.messages.at(-1)?.type === 'reply');
    await runner.recorded.until(() => runner.recorded.told.includes('fenced'));
    const texts = [...seen, ...successor.messages].flatMap((message) =>
      message.type === 'output' && message.output.kind === 'stream' ? [message.output.text] : [],
    );
    expect(texts.join('')).toBe(Array.from({ length: 20 }, (_, i) => `${i}\n`).join(''));
    await expect(runner.recorded.channel.http.interrupt(msgId, newId())).rejects.toThrow();
    await successor.channel.close();
  });
});

function isBusy(runner: KernelRunner): boolean {
  const last = runner.recorded.messages.at(-1);
  return last?.type === 'status' && last.state === 'busy';
}
