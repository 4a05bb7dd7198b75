import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentHttp, createAgentHttp } from '../../src/kernel/calls/agentHttp.ts';
import { FencedByWorkerError, KernelHttpError } from '../../src/kernel/channel/kernelErrors.ts';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import { type ScriptedAgent, startScriptedAgent } from '../support/scriptedAgent.ts';

let agent: ScriptedAgent;
let aborter: AbortController;
let http: AgentHttp;
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
  http = createAgentHttp({
    target: { kind: 'agent', address: socketAddress(agent.socketPath) },
    epoch: 5,
    signal: aborter.signal,
  });
  requests = [];
});
afterEach(() => agent.close());

describe('the agent over HTTP', () => {
  it('health, usage, interrupt, restart', async () => {
    answerWith(200, '{"status":"ok","boot_id":"b","kernel":"busy","more":1}');
    expect(await http.health()).toEqual({ bootId: 'b', kernel: 'busy' });
    answerWith(200, '{"cpu_ms":1.5,"memory_bytes":2,"memory_limit_bytes":3,"oom_kills":0}');
    expect(await http.usage()).toEqual({
      cpuMs: 1.5,
      memoryBytes: 2,
      memoryLimitBytes: 3,
      oomKills: 0,
    });
    answerWith(200, '{"interrupted":false,"known":false}');
    expect(await http.interrupt('e1', 'r1')).toEqual({ interrupted: false, known: false });
    answerWith(200, '{"kernel_generation":2}');
    await http.restart('r2');
    expect(requests).toEqual([
      { method: 'GET', url: '/health', body: '' },
      { method: 'GET', url: '/usage', body: '' },
      { method: 'POST', url: '/interrupt', body: '{"epoch":5,"msg_id":"e1","request_id":"r1"}' },
      { method: 'POST', url: '/restart', body: '{"epoch":5,"request_id":"r2"}' },
    ]);
  });

  it('an agent that does not say whether it knew the request is taken to have', async () => {
    answerWith(200, '{"interrupted":false}');
    expect(await http.interrupt('e1', 'r1')).toEqual({ interrupted: false, known: true });
  });

  it('a stale epoch is FencedByWorkerError', async () => {
    answerWith(409, '{"error":"stale_epoch","epoch":9}');
    await expect(http.interrupt('e1', 'r1')).rejects.toThrow(FencedByWorkerError);
  });

  it.each([
    [500, 'oops'],
    [400, '{"error":"bad_request","message":"m"}'],
    [200, '{"interrupted":"yes"}'],
    [200, 'no json'],
  ])('%i with %s is KernelHttpError', async (status, body) => {
    answerWith(status, body);
    const error = await http.interrupt('e1', 'r1').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(KernelHttpError);
    expect(error).toMatchObject({ status });
  });

  it('does not read an answer without end', async () => {
    answerWith(200, `{"interrupted":true,"x":"${'x'.repeat(1_000_000)}"}`);
    await expect(http.interrupt('e1', 'r1')).rejects.toThrow('too long');
  });

  it('leaves nothing on its signal, however many there were', async () => {
    answerWith(200, '{"interrupted":true}');
    for (let n = 0; n < 20; n += 1) await http.interrupt('e1', `r${n}`);
    answerWith(409, '{"error":"stale_epoch","epoch":9}');
    await expect(http.interrupt('e1', 'r')).rejects.toThrow(FencedByWorkerError);
    // The last one's connection closes after its answer.
    await expect.poll(() => getEventListeners(aborter.signal, 'abort')).toEqual([]);
  });

  it('ends with its signal', async () => {
    agent.answer = () => aborter.abort();
    await expect(http.restart('r1')).rejects.toThrow(/abort/i);
  });
});

describe('the address of a Unix socket', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-wait-'));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('resolves once somebody listens, and not before', async () => {
    const path = join(directory, 'late.sock');
    const ready = socketAddress(path).untilOpen(AbortSignal.timeout(4_000));
    const server = createServer();
    let isListening = false;
    setTimeout(() => server.listen(path, () => (isListening = true)), 30);
    await ready;
    expect(isListening).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });

  it('gives up with the signal, and at once where waiting is of no use', async () => {
    const never = socketAddress(join(directory, 'never.sock'));
    await expect(never.untilOpen(AbortSignal.timeout(30))).rejects.toThrow(/timeout/i);
    await expect(never.untilOpen(AbortSignal.abort(new Error('no')))).rejects.toThrow('no');
    const below = socketAddress(join(process.execPath, 'x.sock'));
    await expect(below.untilOpen(AbortSignal.timeout(4_000))).rejects.toThrow('ENOTDIR');
  });
});
