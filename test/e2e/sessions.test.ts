/** The main purpose: stateful Python for several users, under each runtime. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, submit } from '../../testkit/interpreter.ts';
import { TIERS } from '../support/probes.ts';

describe.each(TIERS)('a session under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({ DOCKER_RUNTIME: tier, MIN_IDLE_WORKERS: '1' });
  });
  afterAll(() => gateway?.destroy());

  it('keeps variables from one execute to the next, and only for its user', async () => {
    expect(await execute(gateway, 'ann', 'a = 10')).toMatchObject({
      status: 'OK',
      resultText: null,
    });
    expect(await execute(gateway, 'ann', 'print(a * 20)')).toMatchObject({
      status: 'OK',
      stdout: '200\n',
      resultText: '200\n',
    });
    expect(await execute(gateway, 'bob', 'print("before")\na')).toMatchObject({
      status: 'ERROR',
      stdout: 'before\n',
      error: { name: 'NameError', value: "name 'a' is not defined" },
    });
  });

  it('gives the value of the last line as text', async () => {
    expect((await execute(gateway, 'ann', "'x'")).resultText).toBe("'x'");
    expect((await execute(gateway, 'ann', "print('y')\n'x'")).resultText).toBe("y\n'x'");
  });

  it('draws a chart with a Chinese title, without warnings about missing glyphs', async () => {
    const chart = await execute(
      gateway,
      'ann',
      `import matplotlib.pyplot as plt
plt.plot([0, 1, 0, -1])
plt.title('正弦波')
plt.show()`,
      { timeoutMs: 30_000 },
    );
    expect(chart).toMatchObject({ status: 'OK', stderr: '' });
    expect(chart.outputs.map(({ __typename }) => __typename)).toEqual(['RichOutput']);
    const png = Buffer.from(chart.resultBase64 ?? '', 'base64');
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect(png.length).toBeGreaterThan(5_000);
  });

  it('stops a runaway loop at its limit and keeps the variables', async () => {
    await execute(gateway, 'ann', 'a = 10');
    const startedAt = performance.now();
    const runaway = await execute(gateway, 'ann', 'while True: pass', { timeoutMs: 2_000 });
    expect(runaway).toMatchObject({ status: 'TIMEOUT', stateLost: false });
    expect(performance.now() - startedAt).toBeGreaterThan(1_900);
    expect(await execute(gateway, 'ann', 'a')).toMatchObject({ status: 'OK', resultText: '10' });
  });

  it('streams output while the code runs', async () => {
    const { id } = await submit(
      gateway,
      'ann',
      `import time
for i in range(6):
    print('line', i)
    time.sleep(0.3)`,
    );
    const outputs = await follow(gateway.socket(), id);
    const lines = outputs.filter(({ __typename }) => __typename === 'StreamOutput');
    expect(lines.map(({ text }) => text).join('')).toBe(
      'line 0\nline 1\nline 2\nline 3\nline 4\nline 5\n',
    );
    expect(outputs.at(-1)).toMatchObject({
      __typename: 'ExecutionFinished',
      execution: { status: 'OK' },
    });
    expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
    const [first, last] = [lines[0], lines.at(-1)];
    expect((last?.receivedAt ?? 0) - (first?.receivedAt ?? 0)).toBeGreaterThan(1_000);
  });

  it('interrupts running code and keeps the variables', async () => {
    const { id } = await submit(gateway, 'ann', 'import time\nprint("on")\ntime.sleep(60)', {
      timeoutMs: 60_000,
    });
    const following = follow(gateway.socket(), id);
    const answer = await gateway.graphql<{ interrupt: { status: string } }>(
      'mutation Stop($id: ID!) { interrupt(executionId: $id) { status } }',
      { id },
    );
    expect(answer.data?.interrupt.status).toBe('INTERRUPTED');
    expect((await following).at(-1)?.execution?.status).toBe('INTERRUPTED');
    expect((await execute(gateway, 'ann', 'a')).resultText).toBe('10');
  });

  it('cancels queued code at once, while other code of the session prints', async () => {
    const busy = await submit(
      gateway,
      'ann',
      'import time\nfor i in range(300):\n    print(i)\n    time.sleep(0.01)',
    );
    const queued = await submit(gateway, 'ann', 'a = "never"');
    const startedAt = performance.now();
    const answer = await gateway.graphql<{ interrupt: { status: string } }>(
      'mutation Stop($id: ID!) { interrupt(executionId: $id) { status } }',
      { id: queued.id },
    );
    expect(answer.data?.interrupt.status).toBe('CANCELLED');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    const outputs = await follow(gateway.socket(), busy.id);
    expect(outputs.at(-1)?.execution?.status).toBe('OK');
    expect((await execute(gateway, 'ann', 'a')).resultText).toBe('10');
  });

  it('gives a fresh kernel on request: variables are gone, files stay', async () => {
    await execute(gateway, 'ann', 'open("note.txt", "w").write("kept")');
    const answer = await gateway.graphql<{ restartKernel: { closedAt: string | null } }>(
      'mutation { restartKernel(userUuid: "ann") { id closedAt } }',
    );
    expect(answer.data?.restartKernel.closedAt).toBeNull();
    const first = await execute(gateway, 'ann', 'a');
    expect(first).toMatchObject({ error: { name: 'NameError' }, stateLost: true });
    const second = await execute(gateway, 'ann', 'open("note.txt").read()');
    expect(second).toMatchObject({ resultText: "'kept'", stateLost: false });
  });

  it('answers the same key with the same execution', async () => {
    const first = await execute(gateway, 'ann', 'n = 1', { idempotencyKey: 'k1' });
    expect((await execute(gateway, 'ann', 'n = 1', { idempotencyKey: 'k1' })).id).toBe(first.id);
    await expect(execute(gateway, 'ann', 'n = 2', { idempotencyKey: 'k1' })).rejects.toThrow(
      'IDEMPOTENCY_CONFLICT',
    );
  });
});
