/**
 * Odd, rich or large output arrives complete by every way to read it, before and after a restart of the gateway.
 */
import { createHash } from 'node:crypto';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, submit } from '../../testkit/interpreter.ts';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { LARGE_LINE, ODD_OUTPUTS, type OddOutput } from '../support/oddOutputs.ts';
import {
  assembledOutput,
  pagedOutput,
  type ReadOutput,
  subscribedOutput,
} from '../support/readOutput.ts';
import {
  askOverHttp,
  askOverWebSocket,
  textOverHttp,
  textOverWebSocket,
} from '../support/transportServer.ts';

/** Room for a line of 10 MB twice, but not three times. */
const MAX_RESPONSE_BYTES = 25_000_000;
const LONG = { timeoutMs: 120_000 };
const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);

let gateway: TestGateway;
beforeAll(async () => {
  const WORKER_IMAGE = await imageWithPackage(docker, workerImage(), 'python3-tqdm');
  gateway = await startTestGateway({
    WORKER_IMAGE,
    MIN_IDLE_WORKERS: '0',
    MAX_RESPONSE_BYTES: String(MAX_RESPONSE_BYTES),
  });
});
afterAll(() => gateway.destroy());

/** A short stand-in for long texts, so that a failing test does not print megabytes. */
function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

const joined = (outputs: readonly ReadOutput[], name: string) =>
  outputs.map((output) => (output.name === name ? (output.text ?? '') : '')).join('');
const pngs = (outputs: readonly ReadOutput[]) =>
  outputs.flatMap(({ data }) => (data?.['image/png'] ? [String(data['image/png'])] : []));

function expectOutput(outputs: readonly ReadOutput[], odd: OddOutput): void {
  expect(outputs.map(({ seq }) => seq)).toEqual(outputs.map((_, index) => index + 1));
  expect(digest(joined(outputs, 'STDOUT'))).toBe(digest(odd.stdout));
  expect(digest(joined(outputs, 'STDERR'))).toBe(digest(odd.stderr ?? ''));
  expect(pngs(outputs)).toHaveLength(odd.figures ?? 0);
  // Text may be cut anywhere except within a character that arrived whole.
  if (odd.stdout.isWellFormed())
    expect(outputs.every(({ text }) => text?.isWellFormed() ?? true)).toBe(true);
}

async function expectWhole(id: string, odd: OddOutput): Promise<string> {
  const streamed = await subscribedOutput(gateway, id);
  expectOutput(streamed, odd);
  const paged = await pagedOutput(gateway, id);
  expect(digest(paged)).toBe(digest(streamed));
  const { stdout, stderr, stdoutRendered, ...rest } = await assembledOutput(gateway, id);
  expect(digest(stdout)).toBe(digest(odd.stdout));
  expect(digest(stderr)).toBe(digest(odd.stderr ?? ''));
  expect(digest(stdoutRendered)).toBe(digest(odd.rendered ?? odd.stdout));
  expect(rest.status).toBe('OK');
  expect(rest.truncated).toBe(false);
  expect(digest(rest.resultBase64)).toBe(digest(pngs(streamed).at(-1)?.trim() ?? null));
  return digest(streamed);
}

describe('odd output', () => {
  const ids = new Map<string, { readonly id: string; readonly digest: string }>();

  it.each(ODD_OUTPUTS)('$name arrives whole, live and afterwards', async (odd) => {
    const { id } = await submit(gateway, 'ann', odd.code, LONG);
    const live = await subscribedOutput(gateway, id);
    expectOutput(live, odd);
    const afterwards = await expectWhole(id, odd);
    expect(afterwards).toBe(digest(live));
    ids.set(odd.name, { id, digest: afterwards });
  });

  it('is the same after kill -9 and a restart of the gateway', async () => {
    await gateway.kill('SIGKILL');
    await gateway.restart();
    for (const odd of ODD_OUTPUTS) {
      const before = ids.get(odd.name);
      expect(await expectWhole(before?.id ?? '', odd)).toBe(before?.digest);
    }
  });
});

describe('rich output', () => {
  it('passes through as data, and resultBase64 keeps the last PNG', async () => {
    const bundles = {
      'image/svg+xml': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'text/html': '<b>\u202eשלום</b>',
      'text/latex': String.raw`$\frac{1}{2}$`,
      'text/markdown': '*a*\n\n- b',
      'application/json': { a: [1, null, true, { b: 'ü\u0000' }] },
      'application/vnd.plotly.v1+json': { data: [{ x: [1, 2], type: 'bar' }], layout: {} },
      'application/vnd.vega.v5+json': { marks: [], scales: [{ name: 'x' }] },
      'application/vnd.vegalite.v5+json': { mark: 'bar', encoding: {} },
    };
    const png = (last: string) => Buffer.from(`\u0089PNG${last}`, 'latin1').toString('base64');
    const show = [...Object.entries(bundles), ['image/png', png('1')], ['image/png', png('2')]].map(
      (bundle) => Object.fromEntries([bundle]) as Readonly<Record<string, unknown>>,
    );
    const code = `import json
for bundle in json.loads(${JSON.stringify(JSON.stringify(show))}):
    display(bundle, raw=True)`;
    const { id, resultBase64 } = await execute(gateway, 'ann', code);
    expect(resultBase64).toBe(png('2'));
    for (const read of [subscribedOutput, pagedOutput])
      expect((await read(gateway, id)).map(({ data }) => data)).toEqual(show);
  });
});

describe('whole numbers in JSON', () => {
  it('have all their digits over HTTP, as server-sent events and over a WebSocket', async () => {
    const code = `from IPython.display import JSON
display(JSON({"n": 2**60 + 1, "of a row": [-2**63, 10**400]}), metadata={"application/json": {"id": 2**64 - 1}})`;
    const { id } = await execute(gateway, 'ann', code);
    const fields = '... on RichOutput { data metadata }';
    const query = `{ execution(id: "${id}") { outputs { ${fields} } } }`;
    const subscription = `subscription { output(executionId: "${id}") { ${fields} } }`;
    for (const ask of [textOverHttp, textOverWebSocket])
      for (const document of [query, subscription]) {
        const text = await ask(gateway, document);
        expect(text).toContain('"n":1152921504606846977,');
        expect(text).toContain(`"of a row":[-9223372036854775808,1${'0'.repeat(400)}]`);
        expect(text).toContain('"id":18446744073709551615}');
      }
  });
});

describe('stdoutRendered', () => {
  it('shows bars of tqdm as one line each', async () => {
    const code = `import sys
from tqdm import tqdm
for outer in tqdm(range(3), desc="outer", file=sys.stdout):
    for inner in tqdm(range(100), desc="inner", file=sys.stdout, leave=False, position=1, mininterval=0): pass
print("done")`;
    const { id } = await execute(gateway, 'ann', code);
    const { stdout, stdoutRendered } = await assembledOutput(gateway, id);
    expect(stdout.split('\r').length).toBeGreaterThan(100);
    const lines = stdoutRendered.split('\n').map((line) => line.trimEnd());
    expect(lines.filter((line) => line !== '')).toEqual([
      expect.stringMatching(/^outer: 100%\|█+\| 3\/3 /),
      'done',
    ]);
  });
});

describe('an answer over MAX_RESPONSE_BYTES', () => {
  it.each([
    ['HTTP', askOverHttp],
    ['WebSocket', askOverWebSocket],
  ])('over %s is an error that points to `output`, and the code has run', async (_name, ask) => {
    const run = `mutation ($input: ExecuteInput!) {
      execute(input: $input) { a: stdout b: stdout c: stdout } }`;
    const input = { userUuid: 'ann', code: LARGE_LINE.code, ...LONG };
    const { data, errors } = await ask(gateway, run, { input });
    expect(data ?? null).toBeNull();
    expect(errors).toMatchObject([
      {
        message: expect.stringMatching(/MAX_RESPONSE_BYTES.*`outputs` page by page.*`output`/),
        extensions: { code: 'BAD_USER_INPUT', field: 'stdout', limit: MAX_RESPONSE_BYTES },
      },
    ]);
    const [{ extensions }] = errors as [{ extensions: { executionId: string } }];
    expectOutput(await subscribedOutput(gateway, extensions.executionId), LARGE_LINE);
    expectOutput(await pagedOutput(gateway, extensions.executionId), LARGE_LINE);
  });
});
