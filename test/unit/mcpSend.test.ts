import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { send } from '../../src/doors/mcp/mcpDoor.ts';

/** Answers one request with this body. Returns what was logged, and what the client got. */
async function sent(body: ReadableStream, gone: AbortSignal) {
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line) => void log.push(line) });
  let sending: Promise<void> = Promise.resolve();
  const server = createServer((_req, res) => {
    const stopping = { isOver: false, on: () => () => {} };
    const call = { res, gone, stopping, onStream: () => {} } as Parameters<typeof send>[0];
    sending = send(call, new Response(body), false, logger);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const got = await fetch(`http://127.0.0.1:${port}`)
    .then((answer) => answer.text())
    .catch(() => 'cut');
  await sending;
  return { log, got };
}

const failing = () =>
  new ReadableStream({
    start: (controller) => controller.enqueue(Buffer.from('half')),
    pull: (controller) => controller.error(new Error('It broke.')),
  });

it('an answer whose body fails is cut, and the failure is logged once', async () => {
  const { log, got } = await sent(failing(), new AbortController().signal);
  expect(got).toBe('cut');
  expect(log).toEqual([expect.stringContaining('It broke.')]);
});

it('an answer that its client has cancelled is cut, and is not a failure', async () => {
  expect(await sent(failing(), AbortSignal.abort())).toEqual({ log: [], got: 'cut' });
});
