import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KernelChannelDeps } from '../../src/kernel/channel/kernelChannel.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { type RecordedChannel, recordChannel } from '../../testkit/kernelRunner.ts';
import { frame, status, stream } from '../support/frames.ts';
import { type ScriptedAgent, startScriptedAgent } from '../support/scriptedAgent.ts';

let agent: ScriptedAgent;
let recorded: RecordedChannel;

function open(deps: Partial<KernelChannelDeps> = {}): RecordedChannel {
  recorded = recordChannel({
    address: socketAddress(agent.socketPath),
    ...deps,
  });
  return recorded;
}

const isOpen = (times = 1) => recorded.told.filter((what) => what === 'open').length >= times;
const texts = () =>
  recorded.messages.map((message) =>
    message.type === 'output' && message.output.kind === 'stream' ? message.output.text : '?',
  );

beforeEach(async () => {
  agent = await startScriptedAgent();
});
afterEach(async () => {
  await recorded.channel.close();
  await agent.close();
});

describe('connecting', () => {
  it('opens at the hello, reports it, and delivers the messages after the cursor', async () => {
    for (const text of ['a', 'b', 'c']) agent.say(text);
    const { channel, until, told } = open({ after: 1, bootId: 'boot-1', epoch: 5 });
    await until(() => recorded.messages.length === 2);
    expect(texts()).toEqual(['b', 'c']);
    expect(told).toEqual(['hello boot-1', 'state open', 'open']);
    expect(agent.attempts).toEqual([{ after: 1, epoch: 5 }]);
    expect(channel).toMatchObject({ state: 'open', lastSeq: 3, hello: { lastSeq: 3 } });
  });

  it('reports a worker without a socket as unreachable', async () => {
    await agent.close();
    const { until } = open({ unreachableAfterMs: 1_000 });
    await until(() => recorded.told.length === 1);
    expect(recorded.told[0]).toMatch(/^unreachable .*ENOENT/);
  });

  it('says once per outage that the worker is unreachable, and goes on trying', async () => {
    agent.refuseWith = 503;
    // Long enough for a first answer on a busy machine: the report names the last error.
    const { until, told } = open({ unreachableAfterMs: 1_000 });
    await until(() => told.length === 1);
    expect(told).toEqual(['unreachable The worker answered the upgrade with HTTP 503.']);
    const { length } = agent.attempts;
    agent.refuseWith = null;
    await until(isOpen);
    expect(agent.attempts.length).toBeGreaterThan(length);
    expect(told.filter((what) => what.startsWith('unreachable'))).toHaveLength(1);
  });

  it('dials again when the upgrade is never answered', async () => {
    agent.hijack = (socket) => {
      for (const end of ['end', 'error']) socket.on(end, () => socket.destroy());
      socket.resume();
    };
    const { until, told } = open({ handshakeTimeoutMs: 30 });
    await expect.poll(() => agent.attempts.length).toBeGreaterThan(1);
    agent.hijack = null;
    await until(isOpen);
    expect(told).toEqual(['hello boot-1', 'state open', 'open']);
  });

  it('treats a stopped worker as a lost connection', async () => {
    const { until, told } = open({ pingIntervalMs: 10, unreachableAfterMs: 100 });
    await until(isOpen);
    agent.isSilent = true;
    // Like a stopped process: the socket stays open, and nobody reads it.
    agent.socket.pause();
    await until(() => told.includes('state connecting'));
  });
});

describe('reconnecting', () => {
  it('asks for messages not stored yet, and drops those already delivered', async () => {
    const { channel, until } = open();
    await until(isOpen);
    for (const text of ['a', 'b', 'c']) agent.say(text);
    await until(() => recorded.messages.length === 3);
    channel.ack(2);
    await agent.receivedAtLeast(1);
    expect(agent.received).toEqual([{ ack: 2 }]);
    agent.cut();
    agent.say('d');
    await until(() => recorded.messages.length === 4);
    expect(agent.attempts.map(({ after }) => after)).toEqual([0, 2]);
    expect(texts()).toEqual(['a', 'b', 'c', 'd']);
    expect(recorded.counts).toMatchObject({ connections: 2, delivered: 4, duplicates: 1 });
    expect(recorded.told).toEqual([
      'hello boot-1',
      'state open',
      'open',
      'state connecting',
      'hello boot-1',
      'state open',
      'open',
    ]);
  });

  it('counts an ack made while disconnected', async () => {
    const { channel, until } = open();
    agent.say('a');
    await until(() => recorded.messages.length === 1);
    agent.cut();
    await until(() => channel.state === 'connecting');
    channel.ack(1);
    await until(() => isOpen(2));
    expect(agent.attempts.at(-1)).toMatchObject({ after: 1 });
  });

  it('reads a rebooted agent from its first message', async () => {
    const { channel, until, told } = open();
    await until(isOpen);
    for (const text of ['a', 'b', 'c']) agent.say(text);
    await until(() => recorded.messages.length === 3);
    channel.ack(3);
    agent.reboot('boot-2');
    agent.cut();
    await until(() => isOpen(2));
    agent.say('x');
    await until(() => recorded.messages.length === 4);
    expect(told.filter((what) => what.startsWith('hello'))).toEqual([
      'hello boot-1',
      'hello boot-2 new',
    ]);
    expect(agent.attempts.map(({ after }) => after)).toEqual([0, 3, 0]);
    expect(recorded.messages.at(-1)).toMatchObject({ seq: 1 });
    expect(channel.lastSeq).toBe(1);
  });

  it.each([
    ['a hole', () => stream('x', { parent: 'p', seq: 3 })],
    ['a repetition', () => stream('x', { parent: 'p', seq: 1 })],
    ['a message without a seq', () => stream('x', { parent: 'p' })],
    ['a second hello', () => '{"hello":{"boot_id":"b","first_seq":1,"last_seq":1}}'],
    ['no JSON', () => '{'],
  ])('connects again after %s, and delivers each message once', async (_name, raw) => {
    const { until } = open();
    await until(isOpen);
    agent.say('a');
    agent.sendRaw(raw());
    agent.say('b');
    await until(() => recorded.messages.length === 2);
    expect(texts()).toEqual(['a', 'b']);
    expect(agent.attempts.length).toBeGreaterThan(1);
  });

  it('reports a worker as unreachable if it no longer has the next message', async () => {
    for (const text of ['a', 'b', 'c']) agent.say(text);
    open({ after: 3, bootId: 'boot-1' });
    await recorded.until(isOpen);
    await recorded.channel.close();
    // The agent has freed messages that this older cursor still needs.
    agent.say('d');
    open({ after: 1, bootId: 'boot-1', unreachableAfterMs: 50 });
    await recorded.until(() => recorded.told.length > 0);
    expect(recorded.told[0]).toContain('unreachable The worker has messages 4 to 4; 2 must come');
    expect(recorded.messages).toEqual([]);
  });
});

describe('receiving', () => {
  it('delivers odd text exactly, and skips messages without a meaning for the gateway', async () => {
    const { channel, until } = open();
    await until(isOpen);
    agent.say('\ud800\u0000🐍');
    agent.sendRaw(frame('comm_open', {}, { parent: 'p', seq: 2 }));
    agent.sendRaw(frame('stream', {}, { parent: 'p', seq: 3 }));
    agent.sendRaw(status('thinking', { parent: 'p', seq: 4 }));
    agent.sendRaw(status('idle', { parent: 'p', seq: 5 }));
    await until(() => recorded.messages.length === 3);
    expect(texts()[0]).toBe('\ud800\u0000🐍');
    expect(recorded.messages.map(({ type }) => type)).toEqual(['output', 'output', 'status']);
    expect(recorded.counts).toMatchObject({ delivered: 3, invalid: 2, ignored: 1 });
    expect(channel.lastSeq).toBe(5);
  });

  it('stops while paused, and makes the peer wait', async () => {
    const { channel, until } = open({ pingIntervalMs: 5 });
    await until(isOpen);
    channel.pause();
    const line = 'x'.repeat(100_000);
    for (let i = 0; i < 100; i += 1) agent.say(line);
    // Long enough for pings to remain unanswered; that must not count as a lost connection.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(recorded.messages.length).toBeLessThan(3);
    expect(agent.socket.bufferedAmount).toBeGreaterThan(5_000_000);
    channel.resume();
    await until(() => recorded.messages.length === 100);
    expect(recorded.counts.connections).toBe(1);
  });

  it('stays paused over a reconnect', async () => {
    const { channel, until } = open();
    await until(isOpen);
    channel.pause();
    channel.resume();
    agent.cut();
    await until(() => channel.state === 'connecting');
    channel.pause();
    await until(() => isOpen(2));
    for (let i = 0; i < 20; i += 1) agent.say('x'.repeat(100_000));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(recorded.messages.length).toBeLessThan(3);
    channel.resume();
    await until(() => recorded.messages.length === 20);
  });
});

describe('sending', () => {
  it('asks for an execution with its limits, and with its code unchanged', async () => {
    const { channel, until } = open();
    const request = {
      msgId: 'e1',
      code: "print('\ud800\u0000🐍')",
      timeoutMs: 1_000,
      graceMs: 100,
      maxOutputBytes: 5_000,
    };
    expect(channel.execute(request)).toBe(false);
    await until(isOpen);
    expect(channel.execute(request)).toBe(true);
    await agent.receivedAtLeast(1);
    expect(agent.received[0]).toMatchObject({
      channel: 'shell',
      header: { msg_id: 'e1', msg_type: 'execute_request' },
      metadata: { cellhouse: { timeout_ms: 1_000, grace_ms: 100, max_output_bytes: 5_000 } },
      content: { code: request.code, allow_stdin: false, stop_on_error: false, silent: false },
      buffers: [],
    });
  });

  it('acknowledges only what was delivered, and never backwards', async () => {
    const { channel, until } = open();
    for (const text of ['a', 'b']) agent.say(text);
    await until(() => recorded.messages.length === 2);
    for (const seq of [9, 2, 1, 2]) channel.ack(seq);
    await agent.receivedAtLeast(1);
    agent.say('c');
    await until(() => recorded.messages.length === 3);
    channel.ack(3);
    await agent.receivedAtLeast(2);
    expect(agent.received).toEqual([{ ack: 2 }, { ack: 3 }]);
  });

  it('joins acks of the same moment into one', async () => {
    const { channel, until } = open();
    for (const text of ['a', 'b', 'c']) agent.say(text);
    await until(() => recorded.messages.length === 3);
    for (const seq of [1, 2, 3]) channel.ack(seq);
    await agent.receivedAtLeast(1);
    expect(agent.received).toEqual([{ ack: 3 }]);
  });
});

describe('the end', () => {
  it.each([
    ['an upgrade refused with 409', () => (agent.refuseWith = 409)],
    ['a close with 4409', () => agent.connected().then(() => agent.closeWith(4409))],
  ])('is final after %s, which fences the channel', async (_name, fence) => {
    void fence();
    const { channel, until, told } = open();
    await until(() => told.includes('fenced'));
    expect(channel.state).toBe('closed');
    expect(told.slice(-2)).toEqual(['state closed', 'fenced']);
    // More than the first retry's delay.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(agent.attempts).toHaveLength(1);
  });

  it('may come from the owner at the moment at which the worker fences the channel', async () => {
    agent.refuseWith = 409;
    const closed = new Promise<void>((resolve) => {
      const { channel } = open({ onFenced: () => resolve(channel.close()) });
    });
    await closed;
    expect(recorded.channel.state).toBe('closed');
  });

  it('by close() comes after everything sent, is final, and may be repeated', async () => {
    const { channel, until, told } = open();
    agent.say('a');
    await until(() => recorded.messages.length === 1);
    const goodbye = new Promise((resolve) => agent.socket.on('close', resolve));
    channel.ack(1);
    const before = told.length;
    await Promise.all([channel.close(), channel.close()]);
    expect(await goodbye).toBe(1000);
    expect(agent.received).toEqual([{ ack: 1 }]);
    agent.say('b');
    await channel.close();
    expect(channel.state).toBe('closed');
    expect(told).toHaveLength(before);
    expect(recorded.messages).toHaveLength(1);
    expect(
      channel.execute({ msgId: 'e', code: '', timeoutMs: 1, graceMs: 1, maxOutputBytes: 1 }),
    ).toBe(false);
  });

  it('may come while connecting, while waiting to connect, while paused, and in a callback', async () => {
    await open().channel.close();
    agent.refuseWith = 503;
    const waiting = open({ unreachableAfterMs: 10 });
    await waiting.until(() => waiting.told.length === 1);
    await waiting.channel.close();
    agent.refuseWith = null;
    const paused = open();
    await paused.until(isOpen);
    paused.channel.pause();
    await paused.channel.close();
    const hasty: RecordedChannel = open({
      onHello: () => void hasty.channel.close(),
    });
    await agent.connected();
    await hasty.channel.close();
    expect(hasty.told).toEqual([]);
  });

  it('comes even if the peer does not answer the closing handshake', async () => {
    const { channel, until } = open();
    await until(isOpen);
    agent.socket.pause();
    await channel.close();
    expect(channel.state).toBe('closed');
  });
});
