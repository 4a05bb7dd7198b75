/** How kernels are interrupted, are restarted, die, and are reconnected to. */
import { describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { KernelMessage } from '../../src/kernel/frames/messages.ts';
import { newId } from '../../src/process/newId.ts';
import { type Ran, textOf } from '../../testkit/kernelRunner.ts';
import { type ContractKernel, useKernel } from '../support/kernelContract.ts';

/** Printed by code when it is ready for an interrupt, which can come with the very next instruction. */
const GO = 'print("go", flush=True)';

/** Starts code that prints {@link GO}, and resolves when it has printed it. */
async function begin(
  { runner }: ContractKernel,
  code: string,
): Promise<{ readonly id: ExecutionId; readonly ended: Promise<Ran> }> {
  const id = newId<ExecutionId>();
  const ended = runner.run(code, { msgId: id });
  const hasBegun = (message: KernelMessage) => message.type === 'output' && message.parentId === id;
  await runner.recorded.until(() => runner.recorded.messages.some(hasBegun));
  return { id, ended };
}

describe('a kernel', () => {
  const kernel = useKernel();

  it('is interrupted and keeps its state', async () => {
    await kernel.runner.run('kept = 5');
    const { id, ended } = await begin(kernel, `import time\n${GO}\ntime.sleep(60)`);
    await kernel.server.interrupt(id);
    const { outcome } = await ended;
    expect(outcome).toMatchObject({ status: 'INTERRUPTED', stateLost: false });
    expect(textOf(await kernel.runner.run('print(kept)'))).toBe('5\n');
  });

  it('lets code handle the interrupt itself', async () => {
    const code = `import time\ntry:\n ${GO}\n time.sleep(60)\nexcept KeyboardInterrupt: print("tidied up")`;
    const { id, ended } = await begin(kernel, code);
    await kernel.server.interrupt(id);
    expect(textOf(await ended)).toBe('go\ntidied up\n');
  });

  it('can be restarted while code runs, and no message of the old kernel follows', async () => {
    await kernel.runner.run('kept = 6');
    const { id, ended } = await begin(
      kernel,
      `import time\n${GO}\nfor i in range(1_000): print(i); time.sleep(0.01)`,
    );
    await kernel.server.restart();
    const { outcome } = await ended;
    expect(outcome).toMatchObject({ status: 'INTERRUPTED', stateLost: true });
    const after = kernel.runner.recorded.messages.length;
    const next = await kernel.runner.run('kept');
    expect(next.outcome).toMatchObject({ status: 'ERROR', errorName: 'NameError' });
    const heard = kernel.runner.recorded.messages.slice(after);
    expect(heard.filter(({ type, parentId }) => type === 'output' && parentId === id)).toEqual([]);
  });

  it('dies once, and a fresh kernel takes over', async () => {
    await kernel.runner.run('survivor = 1');
    const ran = await kernel.runner.run(
      'print("last words", flush=True)\nimport os\nos.kill(os.getpid(), 9)',
    );
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName: 'KernelDied',
      stateLost: true,
      exitCode: -9,
    });
    expect(ran.outputs.at(-1)).toMatchObject({ kind: 'error', name: 'KernelDied' });
    const next = await kernel.runner.run('survivor');
    expect(next.outcome).toMatchObject({ status: 'ERROR', errorName: 'NameError' });
  });

  it('is reconnected to after a cut, and its messages from in between arrive once', async () => {
    const { connections } = kernel.runner.recorded.counts;
    const { ended } = await begin(
      kernel,
      `import time\n${GO}\ntime.sleep(1)\nprint("meanwhile")\n6 * 7`,
    );
    kernel.relay.cut();
    const ran = await ended;
    expect(ran.outputs).toMatchObject([
      { text: 'go\n' },
      { text: 'meanwhile\n' },
      { kind: 'result', data: { 'text/plain': '42' } },
    ]);
    expect(ran.outcome.status).toBe('OK');
    expect(kernel.runner.recorded.counts.connections).toBe(connections + 1);
  });
});
