/** What an execution with `cancelQueuedOnError` cancels, with real workers, real failures and killed gateways. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import {
  createContext,
  execute,
  follow,
  interrupt,
  printed,
  restartKernel,
  submit,
} from '../../testkit/interpreter.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const BASH = { language: 'BASH' };
const STOPS = { cancelQueuedOnError: true, timeoutMs: 60_000 };
const SLEEP = "print('on')\nimport time\ntime.sleep(50)";

let installation: TestInstallation;
let gateways: [TestGateway, TestGateway];
let gateway: TestGateway;
let user: string;
beforeAll(async () => {
  installation = await createInstallation({ MIN_IDLE_WORKERS: '0', MAX_COMMANDS: '1' });
  gateways = [await installation.start(), await installation.start()];
  [gateway] = gateways;
});
afterAll(() => installation.destroy());
beforeEach(({ task }) => {
  user = task.name.slice(0, 100);
});

const endOf = async (id: string, at = gateway) => (await follow(at.socket(), id)).at(-1)?.execution;
/** Code that leaves a trace, submitted at either gateway in turn. */
async function queue(options: Readonly<Record<string, unknown>> = {}): Promise<string[]> {
  const ids: string[] = [];
  for (const at of gateways) {
    const code = 'language' in options ? 'touch ran' : "open('ran', 'w').close()";
    ids.push((await submit(at, user, code, options)).id);
  }
  return ids;
}
async function expectCancelled(ids: readonly string[], at = gateway): Promise<void> {
  for (const id of ids) expect(await endOf(id, at)).toMatchObject({ status: 'CANCELLED' });
  const ran = await execute(at, user, "import os\nos.path.exists('ran')");
  expect(ran).toMatchObject({ status: 'OK', resultText: 'False' });
}

it.each<[string, string, (id: string) => unknown, object]>([
  ['its time limit', 'TIMEOUT', () => undefined, { timeoutMs: 1_500 }],
  ['an interrupt', 'INTERRUPTED', (id) => interrupt(gateways[1], id), {}],
  ['a restart', 'INTERRUPTED', () => restartKernel(gateways[1], user), {}],
])('%s cancels queued executions', async (_, status, end, options) => {
  const { id } = await submit(gateway, user, SLEEP, { ...STOPS, ...options });
  await printed(gateway.socket(), id, 1);
  const behind = await queue();
  await end(id);
  expect(await endOf(id)).toMatchObject({ status });
  await expectCancelled(behind);
});

it('a dead kernel cancels executions queued in its context, but none in other contexts and no commands', async () => {
  const { id: contextId } = await createContext(gateway, user);
  const dies = 'import os, time\ntime.sleep(1)\nos.kill(os.getpid(), 9)';
  const { id } = await submit(gateway, user, dies, { ...STOPS, contextId });
  const behind = await queue({ contextId });
  const other = [
    await submit(gateway, user, 'import time; time.sleep(2)'),
    await submit(gateway, user, '1'),
    await submit(gateway, user, 'sleep 2', BASH),
    await submit(gateway, user, 'true', BASH),
  ];
  expect(await endOf(id)).toMatchObject({ status: 'ERROR' });
  await expectCancelled(behind);
  for (const each of other) expect(await endOf(each.id)).toMatchObject({ status: 'OK' });
  expect(await execute(gateway, user, '1', { contextId })).toMatchObject({ stateLost: true });
});

it('a command that fails cancels the commands that wait for their turn', async () => {
  const { id } = await submit(gateway, user, 'sleep 1; exit 3', { ...STOPS, ...BASH });
  const behind = await queue(BASH);
  expect(await endOf(id)).toMatchObject({ status: 'ERROR' });
  await expectCancelled(behind);
});

it('a gateway that takes over from a killed one cancels the executions queued behind a failure', async () => {
  await execute(gateway, user, '1');
  const doomed = await installation.holderOfUser(user);
  const other = doomed === gateways[0] ? gateways[1] : gateways[0];
  const contextId = (await createContext(other, user)).id;
  const fails = "import time\nprint('on')\ntime.sleep(1)\n1 / 0";
  const cell = await submit(other, user, fails, STOPS);
  const there = await submit(other, user, fails, { ...STOPS, contextId });
  const command = await submit(other, user, 'echo on; sleep 1; exit 3', { ...STOPS, ...BASH });
  for (const { id } of [cell, there, command]) await printed(other.socket(), id, 1);
  const behind = [...(await queue()), ...(await queue({ contextId })), ...(await queue(BASH))];
  await doomed.kill('SIGKILL');
  const late = await submit(other, user, "open('ran', 'w').close()");
  for (const { id } of [cell, there, command])
    expect(await endOf(id, other)).toMatchObject({ status: 'ERROR' });
  await expectCancelled([...behind, late.id], other);
});
