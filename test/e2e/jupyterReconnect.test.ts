/** JupyterLab's own client loses its connection to a kernel, and goes on at this gateway or another. */
import type { Kernel, KernelManager } from '@jupyterlab/services';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { services } from '../../testkit/jupyterPlace.ts';
import { until } from '../../testkit/until.ts';
import { type FailoverRelay, startFailoverRelay } from '../support/failoverRelay.ts';
import { gateway, gateways, other, useTwoRealGateways } from '../support/installation.ts';
import { jupyterToken, kernelManagerOf, ran } from '../support/jupyterClient.ts';

const LINES = 100;
const COUNTING = `
import time
for n in range(${LINES}):
    print(n, flush=True)
    time.sleep(0.02)`;

useTwoRealGateways();
const ALL_LINES = Array.from({ length: LINES }, (_, n) => `${n}\n`).join('');

let relay: FailoverRelay;
let manager: KernelManager;
let kernel: Kernel.IKernelConnection;

beforeAll(async () => {
  // New connections go to the first gateway as long as it runs.
  relay = await startFailoverRelay(gateways.map(({ port }) => port));
  const token = await jupyterToken(gateway, 'ann');
  manager = kernelManagerOf({ url: `${relay.url}/jupyter`, token });
});
afterEach(() => kernel?.shutdown());
afterAll(async () => {
  manager?.dispose();
  await relay?.close();
});

/** Runs a cell, and collects its messages by their ids, in the order of their first arrival. */
function counting(code = COUNTING) {
  const future = kernel.requestExecute({ code });
  const messages = new Map<string, { readonly type: string; readonly text: string }>();
  let doubles = 0;
  future.onIOPub = ({ header, content }) => {
    const { text = '' } = content as { text?: string };
    const known = messages.get(header.msg_id);
    const message = { type: header.msg_type, text };
    if (known) doubles += 1;
    // A message that comes again is the same.
    expect(known ?? message).toEqual(message);
    messages.set(header.msg_id, message);
  };
  const text = () => [...messages.values()].map((message) => message.text).join('');
  return {
    future,
    text,
    untilLine: (n: number) =>
      until(`line ${n}`, async () => (text().includes(`${n}\n`) ? true : undefined)),
    /** Expects every message, in order, and at most `maxDoubles` messages twice. */
    expectWhole: async (maxDoubles: number) => {
      expect((await future.done).content).toMatchObject({ status: 'ok' });
      const types = [...messages.values()].map(({ type }) => type);
      expect(types.filter((type) => type !== 'stream')).toEqual([
        'status',
        'execute_input',
        'status',
      ]);
      expect([types.at(0), types.at(-1)]).toEqual(['status', 'status']);
      expect(text()).toBe(ALL_LINES);
      expect(doubles).toBeLessThanOrEqual(maxDoubles);
    },
  };
}

async function started(): Promise<void> {
  kernel = await manager.startNew({ name: 'python3' });
  await ran(kernel, 'runs = 0');
}

/**
 * How many messages may come twice. A gateway asks a client every 100 ms how far it has got, and records the answer
 * every 100 ms; a busy machine does both more slowly. Still, these are far fewer than all messages of a cell.
 */
const LAST_MOMENTS = LINES / 2;

it('after a lost connection, the client gets every message of a cell, and only the latest ones twice', async () => {
  await started();
  const cell = counting();
  await cell.untilLine(30);
  relay.cut();
  await cell.expectWhole(LAST_MOMENTS);
});

it('when its gateway stops, the client goes on at the other gateway, and gets no message twice', async () => {
  await started();
  const cell = counting();
  await cell.untilLine(30);
  await gateway.kill('SIGTERM');
  await gateway.restart();
  await cell.expectWhole(0);
});

it('when its gateway is killed, the client goes on at the other gateway, and no code runs twice', async () => {
  await started();
  const cell = counting(`runs += 1${COUNTING}`);
  const waiting = ran(kernel, 'print("next")');
  await cell.untilLine(30);
  await gateway.kill('SIGKILL');
  await gateway.restart();
  await cell.expectWhole(LAST_MOMENTS);
  expect(await waiting).toMatchObject({ text: 'next\n', reply: { status: 'ok' } });
  // A client that does not know whether its request has arrived sends it again.
  kernel.sendShellMessage(again(cell.future.msg), false);
  expect(await ran(kernel, 'print(runs)')).toMatchObject({ text: '1\n' });
  expect(other.log()).not.toContain('A connection to a kernel failed');
});

/** The same request, with the same id. */
function again({
  header,
  content,
}: Kernel.IShellFuture['msg']): Parameters<Kernel.IKernelConnection['sendShellMessage']>[0] {
  const { msg_id: msgId, msg_type: msgType, session, username } = header;
  const asked = { msgType, channel: 'shell', msgId, session, username, content };
  return services.KernelMessage.createMessage(asked as never) as never;
}
