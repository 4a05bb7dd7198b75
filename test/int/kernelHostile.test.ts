/**
 * User code takes over its kernel and forges the kernel's messages (test/fixtures/hostileKernel.py), in a real worker.
 * It can spoil its own execution, but never another one, and never the agent.
 */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';

const HOSTILE = readFileSync(new URL('../fixtures/hostileKernel.py', import.meta.url), 'utf8');
const PREPARE_TIMEOUT_MS = 60_000;
/** Floods take long on a busy machine. */
const FLOOD = { timeout: 120_000 };
/** The replay buffer (32 MiB) and two messages of the largest size, one as bytes and one as JSON. */
const MAX_AGENT_GROWTH_BYTES = 64 * 1_048_576;
/**
 * What a busy machine may add to the time limit and the grace. Before the agent limited its work, a flood that should
 * end at the limit took 15 s.
 */
const SLOW_MACHINE_MS = 2_000;
/** A busy machine lets a kernel have this multiple of its grace: MAX_STRETCH of the agent's processes/grace.py. */
const MAX_STRETCH = 10;
/** Sends an idle status through the session and the iopub socket of the kernel itself. */
const SESSION_IDLE = `content = {"execution_state": "idle"}
kernel.session.send(kernel.iopub_socket, "status", content, parent=kernel.get_parent("shell"))`;
/** The number of the kernel's next packet. */
const NEXT_NUMBER = 'packet(b"x", os.getpid(), kernel.shell_channel.outbox._sent_number + 1)';
/** The messages of an execution without output: busy, idle, reply. */
const BARE_MESSAGES = 3;

let server: AgentServer;
let runner: KernelRunner;
let firstAgentBytes: number;

beforeAll(async () => {
  server = await startAgent();
  runner = createKernelRunner(server.address);
  firstAgentBytes = await server.agentBytes();
}, PREPARE_TIMEOUT_MS);
afterAll(async () => {
  await runner?.close();
  await server?.close();
});
afterEach(async () => {
  const honest = await runner.run('import sys; _ = sys.stdout.write("as ever")');
  expect(honest.outputs).toEqual([{ kind: 'stream', name: 'stdout', text: 'as ever' }]);
  expect(honest.outcome).toMatchObject({ status: 'OK', truncated: false });
  expect((await server.agentBytes()) - firstAgentBytes).toBeLessThan(MAX_AGENT_GROWTH_BYTES);
  // No message of the attack broke the protocol or was invalid to the gateway.
  expect(runner.recorded.counts).toMatchObject({ connections: 1, invalid: 0, ignored: 0 });
});

const attack = (code: string, limits: Parameters<KernelRunner['run']>[1] = {}) =>
  runner.run(`${HOSTILE}\n${code}`, limits);

const messagesOf = (id: string | null) =>
  runner.recorded.messages.filter(({ parentId }) => parentId === id);

describe('messages forged for another execution', () => {
  it('add nothing to an earlier execution', async () => {
    const earlier = await runner.run('print("mine")');
    const before = messagesOf(earlier.id).length;
    const ran = await attack(`whole_end({"msg_id": "${earlier.id}"})\nprint("done")`);
    expect(textOf(ran)).toBe('done\n');
    expect(ran.outcome.status).toBe('OK');
    await runner.run('1');
    expect(messagesOf(earlier.id)).toHaveLength(before);
  });

  it('do not end a later execution, even if its id is known and it waits in the queue', async () => {
    const msgId = newId<ExecutionId>();
    const attacking = attack(
      `for _ in range(5):\n whole_end({"msg_id": "${msgId}"})\n time.sleep(0.1)\nprint("done")`,
    );
    const later = runner.run('import sys; _ = sys.stdout.write("my own words")', { msgId });
    expect(textOf(await attacking)).toBe('done\n');
    const ran = await later;
    expect(ran.outputs).toEqual([{ kind: 'stream', name: 'stdout', text: 'my own words' }]);
    expect(ran.outcome).toMatchObject({ status: 'OK', errorName: null });
    expect(messagesOf(msgId)).toHaveLength(BARE_MESSAGES + 1);
  });

  it('have no effect, whatever their parent field holds', async () => {
    const before = runner.recorded.messages.length;
    const ran = await attack(`
parents = [{}, {"msg_id": ""}, {"msg_id": None}, {"msg_id": [MINE["msg_id"]]}, {"id": 1}, None, [], "x", 7]
parents += [{"msg_id": id} for id in (MINE["msg_id"] + " ", MINE["msg_id"].upper(), "x" * 2_000_000, "\\ud800", "\\0")]
parents += [b"", b"\\xff\\xfe", MINE["msg_id"].encode("utf-16"), MINE["msg_id"].encode() + b"\\0"]
for parent in parents:
    whole_end(parent)`);
    expect(ran).toMatchObject({ outputs: [], outcome: { status: 'OK' } });
    expect(runner.recorded.messages.length - before).toBe(BARE_MESSAGES);
  });

  it('cannot carry the agent’s seqs, times, verdicts, gaps and restarts', async () => {
    const before = messagesOf(null).length;
    const ran = await attack(`
verdict = {"outcome": "timeout", "state_lost": True, "exit_code": -9, "peak_memory_bytes": 1e300, "dropped_bytes": 9}
for parent in (MINE, {}):
    stream("x", parent, metadata={"cellhouse": verdict, "seq": 1})
    status("restarting", parent, reason="oom")
    status("dead", parent)
    status({"a": 1}, parent)
    iopub("cellhouse_gap", {"reason": "output_limit", "dropped_bytes": 1e308}, parent)
    iopub("hello", {"boot_id": "mine", "first_seq": 1, "last_seq": 1}, parent)
    forge("shell", "kernel_info_reply", {}, parent)
    forge("shell", "status", {"execution_state": "idle"}, parent)
    forge("shell", "stream", {"name": "stdout", "text": "on shell"}, parent)
    iopub("execute_reply", {"status": "ok", "execution_count": 1}, parent)
reply({"status": "ok", "execution_count": 2**40}, metadata={"cellhouse": verdict})`);
    expect(ran.outputs).toEqual([{ kind: 'stream', name: 'stdout', text: 'x' }]);
    expect(ran.outcome).toMatchObject({
      status: 'OK',
      stateLost: false,
      exitCode: null,
      truncated: false,
      outputBytes: 1,
    });
    // The count is invalid: integers of GraphQL and PostgreSQL end at 2^31.
    expect(ran.outcome.executionCount).toBeNull();
    expect(messagesOf(null)).toHaveLength(before);
  });
});

describe('the end of the hostile execution', () => {
  it('is reported once: by the first reply of many', async () => {
    const ran = await attack(`
reply({"status": "error", "ename": "First", "evalue": "", "traceback": []})
for _ in range(100):
    reply({"status": "ok", "execution_count": 99})
print("x")`);
    expect(ran.outcome).toMatchObject({ status: 'ERROR', errorName: 'First' });
    expect(textOf(ran)).toBe('x\n');
    expect(messagesOf(ran.id).filter(({ type }) => type === 'reply')).toHaveLength(1);
  });

  it.each([
    ['an idle', 'status("idle")'],
    ['an idle through its session', SESSION_IDLE],
    ['an idle with a key', 'status("idle", end_key="0" * 32)'],
    ['a reply and an idle', 'reply({"status": "ok", "execution_count": 9})\nstatus("idle")'],
    ['an idle and a reply', 'status("idle")\nreply({"status": "ok", "execution_count": 9})'],
    ['a packet of its kernel', 'packet(b"x", os.getpid())'],
    ['the next number of its kernel', NEXT_NUMBER],
    ['the last of all numbers', 'packet(b"x", os.getpid(), 2**64 - 1)'],
    ['the beginning of a message of its kernel', 'packet(b"x", os.getpid(), 1, has_more=True)'],
    ['the end of a message of its kernel', 'packet(b"x", os.getpid(), 1, is_first=False)'],
  ])('does not come early if it is forged as %s: later prints arrive', async (_name, code) => {
    const ran = await attack(`${code}\nprint("after")\ntime.sleep(0.1)\nprint("the end")`);
    expect(textOf(ran)).toBe('after\nthe end\n');
    expect(ran.outcome).toMatchObject({ status: 'OK', stateLost: false });
  });

  it('does not come with a forged "idle", but when the kernel is free again', async () => {
    const ran = await attack('status("idle")\nstream("late")\ntime.sleep(1.5)\n1 / 0');
    expect(textOf(ran)).toBe('late');
    expect(ran.outcome).toMatchObject({ status: 'ERROR', errorName: 'ZeroDivisionError' });
    expect(ran.outcome.finishedAt - (ran.outcome.startedAt ?? 0)).toBeGreaterThan(1_500);
  });

  it('comes at the time limit if the code sends "idle" and never ends', async () => {
    const ran = await attack('status("idle")\nwhile True: pass', { timeoutMs: 1_000 });
    expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', stateLost: false });
  });

  it('reported too early takes neither time nor output from the next execution', async () => {
    const ran = await attack('true_end()\ntime.sleep(60)\nstream("from the past")');
    expect(ran.outcome.status).toBe('OK');
    const next = await runner.run('import sys; _ = sys.stdout.write("mine")', {
      timeoutMs: 10_000,
    });
    expect(next.outputs).toEqual([{ kind: 'stream', name: 'stdout', text: 'mine' }]);
    expect(next.outcome).toMatchObject({ status: 'OK', stateLost: false });
  });

  it('reported too early by code that cannot be stopped costs the kernel', async () => {
    await attack('import signal\nsignal.signal(2, signal.SIG_IGN)\ntrue_end()\nwhile True: pass');
    const next = await runner.run('print("never")', { timeoutMs: 300 });
    expect(next).toMatchObject({ outputs: [], outcome: { status: 'TIMEOUT', stateLost: true } });
  });
});

describe('output that cannot be stored unchanged', () => {
  it('becomes one gap, and all other output is exact', async () => {
    const ran = await attack(String.raw`
deep = wide = []
for _ in range(900):
    deep = [deep]
wide = {"application/json": [[]] * 600_000}
many = b'{"data":{"application/json":[' + b"{}," * 300_000 + b"{}]}}"
for content in (
    {"data": {"application/json": deep}}, {"data": wide}, {"data": []}, {"data": None}, [], "x", 7, None,
    b"", b"{", b"{'data'}", b"\xff\xfe{\0}\0", b"[" * 2_000_000, b"{" * 2_000_000, b'"' * 2_000_000, many,
    b'{"data":{"a":NaN}}', b'{"data":{"a":1e999}}', b'{"data":{"a":' + b"9" * 5_000 + b"}}", b'{"data":{},"data":[]}',
    {"data": {}, "metadata": 1}, {"data": {}, "transient": []},
):
    iopub("display_data", content)
for content in ({"name": "stdin", "text": "x"}, {"name": "stdout"}, {"name": "stdout", "text": ["x"]}, {"text": "x"}):
    iopub("stream", content)
iopub("error", {"ename": 1, "evalue": 2, "traceback": 3})
iopub("execute_result", {"data": {}, "metadata": {}, "execution_count": 10**400})
iopub("display_data", {"data": {"text/plain": "kept \ud800 \0 \u2028", "n": [2**53, -0.0, 1e300]}, "more": 1})
stream("\udfff\0")`);
    expect(ran.outputs).toEqual([
      {
        kind: 'display',
        data: { 'text/plain': 'kept \ud800 \0 \u2028', n: [2 ** 53, -0, 1e300] },
        metadata: {},
        displayId: null,
        executionCount: null,
      },
      { kind: 'stream', name: 'stdout', text: '\udfff\0' },
      { kind: 'gap', reason: 'malformed', droppedBytes: expect.any(Number) },
    ]);
    expect(ran.outcome).toMatchObject({ status: 'OK', truncated: true });
    expect(ran.outcome.outputBytes).toBeGreaterThan(1_200_000);
  });

  it('has the last value of duplicate keys', async () => {
    const ran = await attack(
      `iopub("stream", b'{"name":"stderr","text":"x","name":"stdout","text":"twice"}')`,
    );
    expect(ran).toMatchObject({
      outputs: [{ kind: 'stream', name: 'stdout', text: 'twice' }],
      outcome: { status: 'OK', truncated: false },
    });
  });

  it('becomes a gap even if it is huge, and the reply still comes', FLOOD, async () => {
    const ran = await attack(`
for size in (17, 100):
    stream("x" * size * 1_048_576)
    iopub("x" * size * 1_048_576, {})
    stream("", {"msg_id": "y" * size * 1_048_576})
iopub("display_data", {"data": {"text/plain": "x" * 20 * 1_048_576}})
stream("after")
reply({"status": "error", "ename": "E" * 20_000_000, "evalue": "v" * 20_000_000, "traceback": ["t"] * 5_000_000})`);
    expect(textOf(ran)).toBe('after');
    expect(ran.outputs.filter(({ kind }) => kind === 'gap')).toMatchObject([
      { reason: 'message_too_large' },
    ]);
    expect(ran.outcome).toMatchObject({ status: 'ERROR', errorName: 'KernelError' });
  });
});

describe('the link between kernel and agent', () => {
  it.each([
    ['invalid parts', 'for n in range(1_000): packet(os.urandom(n))'],
    ['invalid packets', 'for n in range(1, 30): link.send(b"x" * n, socket.MSG_DONTWAIT)'],
    [
      'counts and lengths beyond all bounds',
      String.raw`for n in range(1_000): packet(os.urandom(1) + b"\0" + b"\xff" * n)`,
    ],
    [
      'unknown channels and types',
      String.raw`for c in (b"", b"stdin", b"control", b"\xff", b"x" * 9_999): message(c, c, b"", b"{}", b"{}")`,
    ],
    ['a thousand parts', 'message(b"iopub", b"stream", b"", b"{}", b"{}", *[b"x" * 50] * 1_019)'],
    [
      'a message without end',
      'for _ in range(1_000): packet(b"x" * MAX_PACKET_BYTES, FORGER - 2, has_more=True)',
    ],
    [
      'messages without end, each from another sender',
      'for n in range(2_000): packet(b"x" * MAX_PACKET_BYTES, FORGER + n, has_more=True)',
    ],
    ['a hundred thousand senders', 'for n in range(100_000): packet(b"x", FORGER + n)'],
    [
      'numbers that go back, and end',
      'for n in (5, 3, 5, 2**64 - 1, 1, 0): packet(b"x", FORGER - 1, n)',
    ],
    [
      'open files',
      'files = array.array("i", [0, 1])\nfor _ in range(300): link.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])',
    ],
  ])('takes no harm from %s', async (_name, code) => {
    const ran = await attack(`${code}\nstream("end")`);
    expect(ran).toMatchObject({
      outputs: [{ kind: 'stream', name: 'stdout', text: 'end' }],
      outcome: { status: 'OK', stateLost: false },
    });
  });

  it.each([
    ['is closed', 'link.close()'],
    ['is shut down for writing', 'link.shutdown(socket.SHUT_WR)'],
    ['gets an empty packet', 'link.send(b"")'],
    ['is replaced by /dev/null', 'os.dup2(os.open("/dev/null", os.O_RDWR), link.fileno())'],
  ])('costs the kernel at once if it %s', async (_name, code) => {
    const ran = await attack(`${code}\ntime.sleep(60)`, { timeoutMs: 30_000 });
    expect(ran.outcome).toMatchObject({
      status: 'ERROR',
      errorName: 'KernelDied',
      stateLost: true,
    });
  });

  it('that the kernel no longer reads ends the next request at its limit, and costs the kernel', async () => {
    await attack('kernel.io_loop.asyncio_loop.remove_reader(link)');
    const ran = await runner.run('print("never")', { timeoutMs: 500 });
    expect(ran).toMatchObject({ outputs: [], outcome: { status: 'TIMEOUT', stateLost: true } });
  });
});

describe('floods', () => {
  const flood = (body: string) => `
for number in range(30_000):
    ${body}
print("end")`;

  it.each([
    [
      'for unknown executions',
      'iopub("stream", {"name": "stdout", "text": "x"}, {"msg_id": "e0"})',
    ],
    ['of an unused type', 'iopub("comm_msg", {"data": {}})'],
    ['of invalid messages', 'iopub("stream", {"name": number})'],
    ['of replies', 'reply({"status": "ok"}, {"msg_id": "e0"})'],
    ['of empty outputs', 'iopub("clear_output", {})'],
  ])('%s let the execution end normally', FLOOD, async (_name, body) => {
    const ran = await attack(flood(body), { timeoutMs: 100_000, maxOutputBytes: 1_000_000 });
    expect(ran.outcome.status).toBe('OK');
    expect(ran.outputs.length).toBeLessThan(16_000);
  });

  // These messages are small, and the agent must examine each of them.
  it.each([
    ['of full packets', 'packet(many)'],
    [
      'of messages of the largest size',
      'for part in range(170): packet(many, has_more=part < 169)',
    ],
    ['of values', 'iopub("display_data", b\'{"data":{"a":[\' + b"[],"  * 30_000 + b"1]}}")'],
  ])('without end, %s, do not delay the limit', FLOOD, async (_name, body) => {
    const ran = await attack(
      `
tiny = pack_parts((b"iopub", b"x", b"y", b"{}", b"{}"))
many = tiny * (MAX_PACKET_BYTES // len(tiny))
while True:
    ${body}`,
      { timeoutMs: 1_000, graceMs: 200 },
    );
    expect(ran.outcome.status).toBe('TIMEOUT');
    const ranMs = ran.outcome.finishedAt - (ran.outcome.startedAt ?? 0);
    expect(ranMs).toBeLessThan(1_000 + MAX_STRETCH * 200 + SLOW_MACHINE_MS);
  });

  it('without end stop at the limit', FLOOD, async () => {
    const ran = await attack(
      'while True: iopub("stream", {"name": "stdout", "text": "x"}, {"msg_id": "e0"})',
      { timeoutMs: 1_500 },
    );
    expect(ran.outcome.status).toBe('TIMEOUT');
  });
});
