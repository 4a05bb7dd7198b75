import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CallAgent, createAgentCalls } from '../../src/kernel/agent/createAgentCalls.ts';
import { readAnswer } from '../../src/kernel/agent/operations.ts';
import { FencedByWorkerError, KernelHttpError } from '../../src/kernel/channel/kernelErrors.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { recordChannel } from '../../testkit/kernelRunner.ts';
import { type ScriptedAgent, startScriptedAgent } from '../support/scriptedAgent.ts';

let agent: ScriptedAgent;
let aborter: AbortController;
let call: CallAgent;
let requests: { method: string | undefined; url: string | undefined; body: string }[];

function answerWith(status: number, body: string): void {
  agent.answer = (request: IncomingMessage, response: ServerResponse, sent: string) => {
    requests.push({ method: request.method, url: request.url, body: sent });
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  };
}

beforeEach(async () => {
  agent = await startScriptedAgent();
  aborter = new AbortController();
  call = createAgentCalls({
    address: socketAddress(agent.socketPath),
    epoch: 5,
    signal: aborter.signal,
  });
  requests = [];
});
afterEach(() => agent.close());

describe('the agent over HTTP', () => {
  it('asks a kernel, and accepts only answers of the right form', async () => {
    const question = { type: 'complete', code: '漢 = 1', cursor: 1 } as const;
    answerWith(200, '{"answer":{"matches":["漢字"],"cursor_start":0,"cursor_end":1}}');
    const { answer } = await call('ask', { contextId: null, question });
    expect(requests.map(({ body }) => JSON.parse(body))).toEqual([
      { epoch: 5, msg_type: 'complete_request', content: { code: '漢 = 1', cursor_pos: 1 } },
    ]);
    const read = { type: 'complete', matches: ['漢字'], cursorStart: 0, cursorEnd: 1 };
    expect(readAnswer(question, answer)).toEqual(read);
    for (const wrong of [
      null,
      'x',
      { matches: ['a'], cursor_start: 0, cursor_end: 6 },
      { matches: ['a'], cursor_start: 2, cursor_end: 1 },
      { matches: [1], cursor_start: 0, cursor_end: 1 },
      { matches: new Array(1_001).fill('a'), cursor_start: 0, cursor_end: 1 },
      { found: true, data: {} },
    ])
      expect(readAnswer(question, wrong)).toBeNull();
    const history = {
      type: 'history',
      access: 'tail',
      raw: true,
      output: false,
      count: 2,
    } as const;
    answerWith(200, '{"answer":null}');
    expect(await call('ask', { contextId: 'c', question: history })).toEqual({ answer: null });
    expect(JSON.parse(requests.at(-1)?.body ?? '')).toEqual({
      epoch: 5,
      context_id: 'c',
      msg_type: 'history_request',
      content: { hist_access_type: 'tail', raw: true, output: false, n: 2 },
    });
  });

  it('answers health, usage, interrupt and restart', async () => {
    answerWith(200, '{"status":"ok","boot_id":"b","kernel":"busy","features":[],"more":1}');
    expect(await call('health', {})).toEqual({
      bootId: 'b',
      kernel: 'busy',
      features: [],
      kernelInfo: null,
    });
    const memory = { memory_bytes: 2, memory_limit_bytes: 3, cache_bytes: 5 };
    const disks = { disk_bytes: 6, disk_limit_bytes: 7 };
    answerWith(
      200,
      JSON.stringify({ clock_ms: 4.5, cpu_ms: 1.5, oom_kills: 0, ...memory, ...disks }),
    );
    expect(await call('usage', {})).toEqual({
      ...{ clockMs: 4.5, cpuMs: 1.5, oomKills: 0 },
      ...{ memoryBytes: 2, memoryLimitBytes: 3, cacheBytes: 5 },
      ...{ diskBytes: 6, diskLimitBytes: 7 },
    });
    answerWith(200, '{"interrupted":false,"known":false}');
    expect(await call('interrupt', { msgId: 'e1', requestId: 'r1' })).toEqual({
      interrupted: false,
      known: false,
    });
    answerWith(200, '{"kernel_generation":2}');
    expect(await call('restart', { requestId: 'r2' })).toEqual({ kernelGeneration: 2 });
    expect(requests).toEqual([
      { method: 'GET', url: '/health', body: '' },
      { method: 'GET', url: '/usage', body: '' },
      { method: 'POST', url: '/interrupt', body: '{"epoch":5,"msg_id":"e1","request_id":"r1"}' },
      { method: 'POST', url: '/restart', body: '{"epoch":5,"request_id":"r2"}' },
    ]);
  });

  it('makes, restarts and deletes contexts', async () => {
    answerWith(200, '{"kernel_generation":1}');
    await call('contexts', { contextId: 'c', workingDirectory: null });
    await call('contexts', { contextId: 'c', workingDirectory: '/tmp' });
    await call('restart', { requestId: 'r', contextId: 'c' });
    answerWith(200, '{"deleted":true}');
    expect(await call('delete_context', { contextId: 'c', requestId: 'r' })).toEqual({
      deleted: true,
    });
    expect(requests).toEqual([
      {
        method: 'POST',
        url: '/contexts',
        body: '{"epoch":5,"context_id":"c","working_directory":null}',
      },
      {
        method: 'POST',
        url: '/contexts',
        body: '{"epoch":5,"context_id":"c","working_directory":"/tmp"}',
      },
      { method: 'POST', url: '/restart', body: '{"epoch":5,"request_id":"r","context_id":"c"}' },
      {
        method: 'POST',
        url: '/delete_context',
        body: '{"epoch":5,"context_id":"c","request_id":"r"}',
      },
    ]);
  });

  it('refuses a stale epoch, which becomes FencedByWorkerError', async () => {
    answerWith(409, '{"error":"stale_epoch","epoch":9}');
    await expect(call('interrupt', { msgId: 'e1', requestId: 'r1' })).rejects.toThrow(
      FencedByWorkerError,
    );
  });

  it.each([
    [500, 'oops', null],
    [400, '{"error":"bad_request","message":"m"}', 'bad_request'],
    // An agent from an older image, which does not know the operation.
    [404, '{"error":"not_found"}', 'not_found'],
    // Only a stale epoch means that another gateway has the worker.
    [409, '{"error":"not_a_directory","message":"m"}', 'not_a_directory'],
    [500, '{"error":7}', null],
    [500, `{"error":"${'x'.repeat(65)}"}`, null],
    [200, '{"interrupted":"yes"}', 'not_as_agreed'],
    [200, 'no json', 'not_as_agreed'],
  ])('answers %i with %s, which becomes KernelHttpError', async (status, body, code) => {
    answerWith(status, body);
    const error = await call('interrupt', { msgId: 'e1', requestId: 'r1' }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(KernelHttpError);
    expect(error).toMatchObject({ status, code });
  });

  it('is reached through any duplex stream, and so is its channel', async () => {
    const { open, untilOpen } = socketAddress(agent.socketPath);
    const address = { open: () => noSocket(open()), untilOpen };
    answerWith(200, '{"interrupted":true,"known":true}');
    const through = createAgentCalls({ address, epoch: 5, signal: aborter.signal });
    expect(await through('interrupt', { msgId: 'e1', requestId: 'r1' })).toMatchObject({
      interrupted: true,
    });
    agent.say('a');
    const { channel, messages, until } = recordChannel({ address });
    await until(() => messages.length === 1);
    channel.ack(1);
    await agent.receivedAtLeast(1);
    expect(agent.received).toEqual([{ ack: 1 }]);
    await channel.close();
  });

  it('is not read any further when its answer is too long', async () => {
    answerWith(200, `{"interrupted":true,"known":true,"x":"${'x'.repeat(1_000_000)}"}`);
    await expect(call('interrupt', { msgId: 'e1', requestId: 'r1' })).rejects.toThrow('too long');
  });

  it('leaves no listener on the signal, after any number of calls', async () => {
    answerWith(200, '{"interrupted":true,"known":true}');
    for (let n = 0; n < 20; n += 1) await call('interrupt', { msgId: 'e1', requestId: `r${n}` });
    answerWith(409, '{"error":"stale_epoch","epoch":9}');
    await expect(call('interrupt', { msgId: 'e1', requestId: 'r' })).rejects.toThrow(
      FencedByWorkerError,
    );
    // The last call's connection closes after its answer.
    await expect.poll(() => getEventListeners(aborter.signal, 'abort')).toEqual([]);
  });

  it('is not waited for once the signal is aborted', async () => {
    agent.answer = () => aborter.abort();
    await expect(call('restart', { requestId: 'r1' })).rejects.toThrow(/abort/i);
  });
});

/** A stream with the socket's bytes, but without the socket's own members. */
function noSocket(socket: Duplex): Duplex {
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk, encoding, done) => socket.write(chunk, encoding, done),
    final: (done) => socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk) => stream.push(chunk) || socket.pause());
  socket.on('end', () => stream.push(null));
  socket.on('error', (error) => stream.destroy(error));
  return stream;
}

describe('the address of a Unix socket', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-wait-'));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('is open once somebody listens, and not before', async () => {
    const path = join(directory, 'late.sock');
    const ready = socketAddress(path).untilOpen(AbortSignal.timeout(4_000));
    const server = createServer();
    let isListening = false;
    setTimeout(() => server.listen(path, () => (isListening = true)), 30);
    await ready;
    expect(isListening).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it('is given up when the signal is aborted, and at once if the path can never exist', async () => {
    const never = socketAddress(join(directory, 'never.sock'));
    await expect(never.untilOpen(AbortSignal.timeout(30))).rejects.toThrow(/timeout/i);
    await expect(never.untilOpen(AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
    const below = socketAddress(join(process.execPath, 'x.sock'));
    await expect(below.untilOpen(AbortSignal.timeout(4_000))).rejects.toThrow('ENOTDIR');
  });
});
