/** A sandbox of E2B adds MIME types to its outputs, and displays saved pictures. Other sessions do neither. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JsonObject } from '../../src/domain/exactJson.ts';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner } from '../../testkit/kernelRunner.ts';

const START_TIMEOUT_MS = 60_000;
/** Code, and the MIME types of what it shows: in any session, and only in a sandbox. */
const CELLS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['[1, {"a": None}]', ['text/plain'], ['application/json']],
  ['{"a": 2**60 + 1}', ['text/plain'], ['application/json']],
  ['1 + 1', ['text/plain'], []],
  [
    'import pandas as pd\npd.DataFrame({"a": [1.5, None]})',
    ['text/html', 'text/plain'],
    ['e2b/data'],
  ],
  [
    'import matplotlib.pyplot as plt\nlines = plt.plot([1, 2, 3])\nplt.show()',
    ['image/png', 'text/plain'],
    ['e2b/chart'],
  ],
  ['plt.figure()\nplt.grid()\nplt.show()', ['image/png', 'text/plain'], []],
];
const SAVE = 'from PIL import Image\nImage.new("L", (1, 1)).save("a.png")';

interface Session {
  readonly server: AgentServer;
  readonly runner: KernelRunner;
}
let plain: Session;
let sandbox: Session;
beforeAll(async () => {
  [plain, sandbox] = await Promise.all([start({ A: '1' }), start({ E2B_SANDBOX: 'true' })]);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await Promise.all([plain, sandbox].map((session) => session?.runner.close()));
  await Promise.all([plain, sandbox].map((session) => session?.server.close()));
});

async function start(variables: Readonly<Record<string, string>>): Promise<Session> {
  const server = await startAgent();
  const runner = createKernelRunner(server.address);
  const { channel, until } = runner.recorded;
  await until(() => channel.state === 'open');
  await channel.call('variables', { variables });
  return { server, runner };
}

/** The data of all that code shows. It must show nothing else, no warnings either. */
async function shown({ runner }: Session, code: string): Promise<JsonObject[]> {
  const { outcome, outputs } = await runner.run(code);
  expect(outcome).toMatchObject({ status: 'OK', truncated: false });
  return outputs.map((output) => {
    if (output.kind !== 'result' && output.kind !== 'display') {
      throw new Error(`unexpected: ${JSON.stringify(output)}`);
    }
    return output.data;
  });
}

it('a sandbox adds MIME types to what any session shows, and changes none', async () => {
  for (const [code, types, more] of CELLS) {
    const [[data = {}], [moreData = {}]] = [await shown(plain, code), await shown(sandbox, code)];
    expect(Object.keys(data).sort(), code).toEqual(types);
    expect(Object.keys(moreData).sort(), code).toEqual([...types, ...more].sort());
    expect(moreData, code).toMatchObject(data);
  }
});

it('only a sandbox displays a picture that is saved', async () => {
  expect(await shown(plain, SAVE)).toEqual([]);
  expect(await shown(sandbox, SAVE)).toEqual([
    expect.objectContaining({ 'image/png': expect.stringMatching(/^iVBORw0KGgo/) }),
  ]);
});

it('numbers keep their digits, and NaN becomes null', async () => {
  const [result] = await shown(sandbox, '{"a": 2**60 + 1, 2: float("nan")}');
  expect(result?.['application/json']).toEqual({ 2: null, a: 2n ** 60n + 1n });
  const table = 'pd.DataFrame({"a": [1.5, None], "b": pd.to_datetime(["2024-01-02", None])})';
  const [{ 'e2b/data': data } = {}] = await shown(sandbox, table);
  expect(data).toEqual({ a: [1.5, null], b: ['2024-01-02T00:00:00', null] });
});
