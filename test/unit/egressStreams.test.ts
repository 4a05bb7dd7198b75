import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type EgressStreams,
  type NotTaken,
  openEgressStreams,
} from '../../src/kernel/egressStreams.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { until } from '../../testkit/until.ts';

const TAKEN = Buffer.of(1);

/** The agent's side, which parks each stream that the gateway opens. */
let server: Server;
let parked: Duplex[];
let paths: string[];
/** If this is set, the agent's side refuses each stream with this status. */
let refuseWith: number | null;
let directory: string;
let streams: EgressStreams | undefined;
/** The reports of failures to open streams. */
let failing: NotTaken[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cellhouse-streams-'));
  [parked, paths, refuseWith, failing] = [[], [], null, []];
  server = createServer((_request, response) => response.writeHead(400).end());
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    paths.push(`${request.headers.upgrade} ${request.url}`);
    socket.on('error', () => socket.destroy());
    if (refuseWith !== null) {
      socket.end(`HTTP/1.1 ${refuseWith} Refused\r\nContent-Length: 2\r\n\r\n{}`);
      return;
    }
    parked.push(socket.resume());
    socket.on('end', () => socket.end());
    socket.on('close', () => parked.splice(parked.indexOf(socket), 1));
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cellhouse-egress\r\n\r\n',
    );
  });
  server.listen(join(directory, 'agent.sock'));
  await once(server, 'listening');
});
afterEach(async () => {
  streams?.close();
  for (const socket of [...parked]) socket.destroy();
  server.closeAllConnections();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true, force: true });
});

function open(maxConnections: number, onStream: (stream: Duplex) => void): EgressStreams {
  const address = socketAddress(join(directory, 'agent.sock'));
  const onFailing = (why: NotTaken) => failing.push(why);
  // The shortest pauses.
  const random = () => 0;
  streams = openEgressStreams({
    ...{ address, epoch: 7, maxConnections, onStream },
    ...{ onFailing, random },
  });
  return streams;
}
const untilParked = (count: number) =>
  until(`${count} parked`, async () => parked.length === count, 5_000);

describe('streams to a worker', () => {
  it('keeps four parked, and dials another one for each that is taken', async () => {
    const taken: Duplex[] = [];
    open(16, (stream) => taken.push(stream));
    await untilParked(4);
    expect(paths).toEqual(new Array(4).fill('cellhouse-egress /egress?epoch=7'));
    parked[0]?.write(TAKEN);
    await untilParked(5);
    expect(taken).toHaveLength(1);
  });

  it('never has more than its limit, and dials again when one has ended', async () => {
    const opened = open(5, (stream) => {
      stream.resume().on('end', () => stream.end());
    });
    await untilParked(4);
    const all = new Set<Duplex>();
    for (const next of [1, 2, 3, 4, 5]) {
      const socket = parked.find((each) => !all.has(each)) as Duplex;
      all.add(socket);
      socket.write(TAKEN);
      await until('it is taken', async () => opened.taken === next, 5_000);
      await untilParked(Math.min(5, 4 + next));
    }
    expect(paths).toHaveLength(5);
    [...all][0]?.destroy();
    await until('the next one', async () => paths.length === 6, 5_000);
  });

  it('gives the data that came with the first byte, and each direction ends by itself', async () => {
    const got = new Promise<string>((resolve) => {
      open(4, (stream) => {
        let sent = '';
        stream.on('data', (data) => {
          sent += data;
        });
        stream.on('end', () => {
          stream.end('an answer after the end');
          resolve(sent);
        });
      });
    });
    await untilParked(4);
    const socket = parked[0] as Duplex;
    const answer = text(socket);
    socket.end(Buffer.concat([TAKEN, Buffer.from('at once')]));
    expect(await got).toBe('at once');
    expect(await answer).toBe('an answer after the end');
  });

  it('serves HTTP that came with the first byte', async () => {
    const proxy = createServer((request, response) => response.end(`you want ${request.url}`));
    open(4, (stream) => void proxy.emit('connection', stream));
    await untilParked(4);
    const socket = parked[0] as Duplex;
    const request =
      'GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n';
    socket.write(Buffer.concat([TAKEN, Buffer.from(request)]));
    expect(await text(socket)).toContain('you want http://a.example/');
  });

  it.each([
    [404, [{ kind: 'refused', status: 404 }]],
    // Another gateway holds the worker now, which is not a failure.
    [409, []],
  ])('dials no more after %i, and reports %j', async (status, told) => {
    refuseWith = status;
    open(16, () => undefined);
    await until('refusals', async () => paths.length === 4, 5_000);
    refuseWith = null;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(paths).toHaveLength(4);
    expect(failing).toEqual(told);
  });

  it('reports only once that streams are refused again and again', async () => {
    refuseWith = 503;
    open(16, () => undefined);
    await until('it to be told', async () => failing.length > 0, 10_000);
    expect(paths.length).toBeGreaterThanOrEqual(8);
    const before = paths.length;
    await until('further attempts', async () => paths.length > before + 4, 10_000);
    expect(failing).toEqual([{ kind: 'refused', status: 503 }]);
  });

  it('dials again after some refusals, and after it has lost all streams, and reports nothing', async () => {
    refuseWith = 503;
    open(16, () => undefined);
    await until('attempts', async () => paths.length >= 12, 5_000);
    refuseWith = null;
    await untilParked(4);
    for (const socket of [...parked]) socket.destroy();
    await untilParked(4);
    expect(failing).toEqual([]);
  });

  it('drops a stream whose first byte is wrong', async () => {
    let taken = 0;
    open(16, () => {
      taken += 1;
    });
    await untilParked(4);
    const odd = parked[0] as Duplex;
    odd.write(Buffer.of(2));
    await once(odd, 'close');
    await untilParked(4);
    expect(taken).toBe(0);
  });

  it('ends everything when it is closed', async () => {
    const taken: Duplex[] = [];
    const opened = open(16, (stream) => taken.push(stream));
    await untilParked(4);
    parked[0]?.write(TAKEN);
    await untilParked(5);
    opened.close();
    opened.close();
    await untilParked(0);
    expect(taken[0]?.destroyed).toBe(true);
    expect(paths).toHaveLength(5);
  });
});
