/** Subscriptions over server-sent events, for clients without WebSocket. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import { createGate } from '../support/gate.ts';
import { executionRow, memoryService } from '../support/memoryService.ts';
import { type PulledStream, pulledStream } from '../support/pulledStream.ts';
import { startTransport, TOKEN, type TransportServer } from '../support/transportServer.ts';

const FOLLOW = 'subscription { output(executionId: "x") { seq ... on StreamOutput { text } } }';
const POOL = '{ poolStatus { totalWorkers } }';
const SLOW_READER_TIMEOUT_MS = 400;
/** Shorter than the interval of Yoga's pings in tests. */
const SHORT_TIMEOUT_MS = 90;
/** Enough bytes for the sender to notice that the client reads. */
const TAKEN_AT_A_TIME = 2 * 1024 * 1024;
/** The text of an event. An endless stream of such events soon fills a connection's buffers. */
const LARGE = 'x'.repeat(65_536);

const execution = executionRow();

function textItem(seq: number, text: string): OutputItem {
  const output = { kind: 'stream', name: 'stdout', text } as const;
  return { executionId: execution.id, seq, at: new Date(), output };
}

const endless = () => pulledStream((n) => textItem(n, LARGE));

/** A server whose output is the given stream. */
function startWith(
  stream: PulledStream<OutputItem>,
  slowReaderTimeoutMs = SLOW_READER_TIMEOUT_MS,
): Promise<TransportServer> {
  return startTransport(memoryService({ followExecution: async () => stream }), {
    config: { slowReaderTimeoutMs },
  });
}

/** A pending request for a subscription. */
function ask({ port }: TransportServer): ClientRequest {
  const sent = request({
    port,
    host: '127.0.0.1',
    path: '/graphql',
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'text/event-stream',
      'X-Auth-Token': TOKEN,
    },
  });
  sent.on('error', () => undefined).end(JSON.stringify({ query: FOLLOW }));
  onTestFinished(() => void sent.destroy());
  return sent;
}

/** The answer to a subscription, before anything of it is read. */
async function subscribe(server: TransportServer): Promise<IncomingMessage> {
  const [response] = (await once(ask(server), 'response')) as [IncomingMessage];
  return response.setEncoding('utf8');
}

/** Everything that comes until the connection ends, and whether it ended properly. */
async function read(response: IncomingMessage): Promise<{ text: string; isWhole: boolean }> {
  let text = '';
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  response.on('error', () => undefined);
  await new Promise((resolve) => response.once('close', resolve));
  return { text, isWhole: response.complete };
}

/** The text without the comments that keep a connection alive. */
function eventsOf(text: string): { event: string; data: unknown }[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      const json = data.slice('data:'.length).trim();
      return { event: event.slice('event: '.length), data: json && JSON.parse(json) };
    });
}

describe('a subscription over server-sent events', () => {
  it('gives each event and completes at its end', async () => {
    const odd = 'a\n\nb\u0000\ud800 \u2028😀';
    const items = [textItem(1, odd), textItem(2, 'end')];
    const stream = pulledStream((n) => items[n - 1] ?? null);
    const server = await startWith(stream);
    const response = await subscribe(server);
    expect(response.headers['content-type']).toMatch(/^text\/event-stream/);
    const answer = read(response);
    while (stream.pulls < 3) await server.query(POOL);
    await stream.return?.();
    const { text, isWhole } = await answer;
    expect(eventsOf(text)).toEqual([
      { event: 'next', data: { data: { output: { seq: 1, text: odd } } } },
      { event: 'next', data: { data: { output: { seq: 2, text: 'end' } } } },
      { event: 'complete', data: '' },
    ]);
    expect(isWhole).toBe(true);
  });

  it('says why it is refused', async () => {
    const server = await startTransport(
      memoryService({
        followExecution: async () => {
          throw new DomainError('NOT_FOUND', 'There is no execution x.');
        },
      }),
    );
    const { text } = await read(await subscribe(server));
    expect(eventsOf(text)).toMatchObject([
      { event: 'next', data: { errors: [{ extensions: { code: 'NOT_FOUND' } }] } },
      { event: 'complete' },
    ]);
  });

  it('reports a failure on the way, and is not completed, since it is not over', async () => {
    const stream = pulledStream((n) => (n === 1 ? textItem(1, 'on') : null));
    const server = await startWith(stream);
    const answer = read(await subscribe(server));
    while (stream.pulls < 2) await server.query(POOL);
    stream.fail(new DomainError('DATABASE_UNAVAILABLE', 'The database has not answered.'));
    const { text, isWhole } = await answer;
    expect(eventsOf(text)).toMatchObject([
      { event: 'next', data: { data: { output: { text: 'on' } } } },
      { event: 'next', data: { errors: [{ extensions: { code: 'DATABASE_UNAVAILABLE' } }] } },
    ]);
    expect(isWhole).toBe(false);
  });

  it('is cut and never completed when the server stops before its end', async () => {
    const stream = pulledStream((n) => (n === 1 ? textItem(1, 'on') : null));
    const server = await startWith(stream);
    const answer = read(await subscribe(server));
    while (stream.pulls < 2) await server.query(POOL);
    await server.server.close();
    const { text, isWhole } = await answer;
    expect(eventsOf(text)).toHaveLength(1);
    expect(text).not.toContain('complete');
    expect(isWhole).toBe(false);
    await stream.returned;
  });

  it('ends its source when the client leaves, even while nothing comes', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const server = await startWith(stream);
    const response = await subscribe(server);
    while (stream.pulls < 1) await server.query(POOL);
    response.destroy();
    await stream.returned;
  });

  it('ends its source even if the client left before the source existed', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const [asked, gone] = [createGate(), createGate()];
    const server = await startTransport(
      memoryService({
        followExecution: async () => {
          asked.open();
          await gone.isOpen;
          return stream;
        },
      }),
    );
    const sent = ask(server);
    await asked.isOpen;
    sent.destroy();
    // After two more calls the server has noticed that the client left.
    for (let call = 0; call < 2; call += 1) await server.query(POOL);
    gone.open();
    await stream.returned;
  });
});

describe('a reader of server-sent events', () => {
  it('a reader that takes nothing holds its source back, and is cut; others notice nothing', async () => {
    const stream = endless();
    const server = await startWith(stream);
    const response = await subscribe(server);
    let isCut = false;
    void stream.returned.then(() => {
      isCut = true;
    });
    while (!isCut) expect((await server.query(POOL)).status).toBe(200);
    const pulls = stream.pulls;
    expect((await read(response)).isWhole).toBe(false);
    // The source has given only as much as the buffers of this machine's connections hold.
    expect(pulls * LARGE.length).toBeLessThan(32 * 1024 * 1024);
    expect(stream.pulls).toBe(pulls);
  });

  it('that is slow is not cut', async () => {
    const stream = endless();
    const server = await startWith(stream);
    const response = await subscribe(server);
    let taken = 0;
    response.on('data', (chunk: string) => {
      taken += chunk.length;
      if (taken < TAKEN_AT_A_TIME) return;
      taken = 0;
      response.pause();
      setTimeout(() => response.resume(), SLOW_READER_TIMEOUT_MS / 4);
    });
    await delay(4 * SLOW_READER_TIMEOUT_MS);
    expect(stream.isReturned).toBe(false);
    response.destroy();
    await stream.returned;
  });

  it('that waits for future events is not cut', async () => {
    const stream = pulledStream<OutputItem>(() => null);
    const server = await startWith(stream, SHORT_TIMEOUT_MS);
    const response = await subscribe(server);
    await delay(3 * SHORT_TIMEOUT_MS);
    expect(stream.isReturned).toBe(false);
    response.destroy();
    await stream.returned;
  });
});
