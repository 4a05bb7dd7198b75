/** A user's kernel sends hostile messages (test/fixtures/hostileKernel.py) while another user works. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';

const HOSTILE = readFileSync(new URL('../fixtures/hostileKernel.py', import.meta.url), 'utf8');
/**
 * The gateway's heap limit: a gateway that keeps more of a flood dies. Without the limit, V8 would collect garbage too
 * late for MAX_GROWTH_BYTES.
 */
const HEAP_MB = 384;
/** How much the gateway's memory may grow: the heap, and batches and frames outside it. */
const MAX_GROWTH_BYTES = 512 * 1_048_576;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` });
});
afterAll(() => gateway.destroy());

const attack = (code: string, limits: Parameters<typeof execute>[3] = {}) =>
  execute(gateway, 'eve', `${HOSTILE}\n${code}`, { timeoutMs: 60_000, ...limits });

async function metric(name: string): Promise<number> {
  const headers = { 'X-Auth-Token': gateway.token };
  const text = await (await fetch(`${gateway.url}/metrics`, { headers })).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

describe('the output of a hostile kernel', () => {
  it('is stored whatever its execution count is', async () => {
    const counted = await execute(gateway, 'eve', 'get_ipython().execution_count = 2**40\n"x"');
    expect(counted).toMatchObject({ status: 'OK', resultText: "'x'" });
    expect(await execute(gateway, 'eve', '6 * 7')).toMatchObject({ resultText: '42' });
    const forged = await attack(`
iopub("execute_result", {"data": {"text/plain": "4"}, "metadata": {}, "execution_count": 2**52})
reply({"status": "ok", "execution_count": 2**52})`);
    expect(forged).toMatchObject({ status: 'OK', resultText: '4' });
  });

  it('does not hide later output, even if it forges the end of the execution', async () => {
    const ran = await attack(`
whole_end(MINE)
content = {"execution_state": "idle"}
kernel.session.send(kernel.iopub_socket, "status", content, parent=kernel.get_parent("shell"))
print("after")
time.sleep(0.1)
print("the end")`);
    expect(ran).toMatchObject({ status: 'OK', stdout: 'forgedafter\nthe end\n' });
  });

  it('is stored exactly, or reported as a gap', async () => {
    const odd = await attack(String.raw`
stream("\ud800 \0 \udfff")
iopub("display_data", {"data": {"text/\0": "\0", "application/json": {"\ud800": [1e300, -0.0, 2**53]}}})
iopub("error", {"ename": "\0", "evalue": "\ud800", "traceback": ["\0"] * 20_000})
iopub("display_data", {"data": {"application/json": [{}] * 300_000}})
iopub("stream", {"name": "stdout", "text": 1})
reply({"status": "error", "ename": "\0\ud800", "evalue": "\0" * 70_000, "traceback": []})`);
    expect(odd).toMatchObject({
      status: 'ERROR',
      stdout: '\ud800 \0 \udfff',
      error: { name: '\0\ud800' },
    });
    expect(odd.outputs.map(({ __typename }) => __typename)).toEqual([
      'StreamOutput',
      'RichOutput',
      'ErrorOutput',
      'GapOutput',
      'ErrorOutput',
    ]);
  });
});

it('another user is served correctly beside a hostile kernel, and the gateway stays within its memory', async () => {
  await execute(gateway, 'bob', 'n = 0');
  const before = await metric('process_resident_memory_bytes');
  let isOver = false;
  const hostile = (async () => {
    for (const body of [
      'stream("x" * 9_000)',
      'iopub("clear_output", {})',
      'iopub("display_data", {"data": {"application/json": [[0]] * 40_000}})',
      'whole_end({"msg_id": "e0"})',
      'message(os.urandom(99), b"x", b"y", b"z", b"{}")',
    ])
      await attack(`for _ in range(5_000):\n    ${body}`, { timeoutMs: 8_000 });
    isOver = true;
  })();
  for (let count = 1; !isOver; count += 1) {
    const honest = await execute(gateway, 'bob', 'n += 1\nprint(n)');
    expect(honest).toMatchObject({ status: 'OK', stdout: `${count}\n`, stateLost: false });
  }
  await hostile;
  expect((await metric('process_resident_memory_bytes')) - before).toBeLessThan(MAX_GROWTH_BYTES);
  for (const fate of ['invalid', 'ignored', 'duplicates'])
    expect(await metric(`cellhouse_worker_messages_total{fate="${fate}"}`)).toBe(0);
});
