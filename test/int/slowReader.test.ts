import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it, onTestFinished } from 'vitest';
import { until } from '../../testkit/until.ts';
import {
  executionRow,
  MAX_RESPONSE_BYTES,
  memoryService,
  outputItems,
} from '../support/memoryService.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';

const QUERY = 'mutation { execute(input: { userUuid: "u", code: "1" }) { status stdout } }';

/** A server whose executions all print this text. */
function start(text: string) {
  const service = memoryService({
    maxResponseBytes: 2 * text.length + MAX_RESPONSE_BYTES,
    execute: async () => executionRow(),
    outputs: async () => outputItems(executionRow(), [{ kind: 'stream', name: 'stdout', text }]),
  });
  return startTransport(service, { config: { slowReaderTimeoutMs: 300 } });
}

describe('an answer over HTTP', () => {
  it.each([['identity'], ['gzip']])('is cut if the client reads nothing (%s)', async (encoding) => {
    const text = randomBytes(10_000_000).toString('hex');
    const { port, origin } = await start(text);
    const socket = connect(port, '127.0.0.1').pause();
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    const body = JSON.stringify({ query: QUERY });
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${TOKEN}\r\nContent-Type: application/json\r\nAccept-Encoding: ${encoding}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'readable');
    await until('The cut', async () => (await callsInFlight(origin)) === 0);
  });
});

async function callsInFlight(origin: string): Promise<number> {
  const response = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
  return Number(/^cellhouse_calls_in_flight (\d+)$/m.exec(await response.text())?.[1]);
}
