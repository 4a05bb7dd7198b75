/** Programs of the predecessor's users, with the libraries that they used, on a real gateway with real workers. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { runCli } from '../../testkit/runCli.ts';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { commandOf } from '../support/userPages.ts';

const PAGE = 'docs/use/doors/predecessor.md';
const ROOT = new URL('../../', import.meta.url).pathname;
const CALLER = new URL('../support/predecessorCaller.py', import.meta.url).pathname;
/** The default. Even on a busy machine, it is enough for the first plot of a session. */
const TIME_LIMIT_MS = 10_000;
const FIRST_BUILD_MS = 300_000;

const docker = new Docker();
let gateway: TestGateway;
let image: string;

beforeAll(async () => {
  const settings = { DOORS: 'predecessor', EXECUTION_TIMEOUT_MS: `${TIME_LIMIT_MS}` };
  image = await imageWithPackage(docker, workerImage(), 'python3-httpx', 'python3-requests');
  gateway = await startTestGateway(settings);
}, FIRST_BUILD_MS);
afterAll(() => gateway.destroy());

/** Runs Python beside the gateway, with files of this machine, and resolves with the printed lines. */
async function python(words: readonly string[], files: readonly string[]): Promise<string[]> {
  const output = new PassThrough();
  const printed = text(output);
  await docker.run(image, [], output, {
    Tty: true,
    User: 'nobody',
    WorkingDir: '/',
    Entrypoint: ['python3', ...words],
    HostConfig: { AutoRemove: true, Binds: files.map((file) => `${file}:ro`), NetworkMode: 'host' },
  });
  output.end();
  return (await printed).trim().split(/\r?\n/);
}

/** Runs the caller, and resolves with its lines. */
async function run(...words: string[]): Promise<unknown[]> {
  const lines = await python(['/caller.py', ...words], [`${CALLER}:/caller.py`]);
  return lines.map((line) => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      // A line of a traceback. The failed comparison shows it.
      return line;
    }
  });
}

const NOT_THERE = [400, { detail: "Python Execution Error: NameError: name 'a' is not defined" }];
const released = (user: string) => [
  200,
  { status: 'ok', detail: `Worker for user ${user} has been released.` },
];
const missing = (loc: string[], input: unknown) => [
  422,
  { detail: [{ type: 'missing', loc, msg: 'Field required', input }] },
];
const said = (result_text: string | null, result_base64: string | null = null) => [
  200,
  { result_text, result_base64 },
];

describe.each(['requests', 'httpx'])('with %s', (library) => {
  it('every answer is that of the predecessor', async () => {
    const user = `caller-${library}`;
    expect(await run(library, gateway.url, gateway.token)).toEqual([
      said(''),
      said('x\ny\n200'),
      said(null, '89504e470d0a1a0a'),
      [400, { detail: 'Python Execution Error: ZeroDivisionError: division by zero' }],
      [
        400,
        {
          detail: 'Code execution timed out after 10.0 seconds. Environment has been reset.',
        },
      ],
      NOT_THERE,
      released(user),
      NOT_THERE,
      missing(['body', 'code'], { user_uuid: user }),
      missing(['header', 'x-auth-token'], null),
      [401, { detail: 'Invalid or missing authentication token' }],
      released(user),
      [200, ['busy_workers', 'idle_workers_in_pool', 'is_initializing', 'total_workers']],
    ]);
  });
});

it('an execution is recorded with its door, and the name of its user contains the token and the door', async () => {
  const { data, errors } = await gateway.graphql<{
    readonly executions: {
      readonly edges: readonly { node: Record<'userUuid' | 'via', string> }[];
    };
  }>('{ executions(first: 100) { edges { node { userUuid via } } } }');
  expect(errors).toBeUndefined();
  const facts = data?.executions.edges.map(({ node }) => `${node.userUuid} ${node.via}`);
  const users = ['requests', 'httpx'].map((name) => `auth-token:predecessor:caller-${name}`);
  expect(new Set(facts)).toEqual(new Set(users.map((user) => `${user} PREDECESSOR`)));
});

it(`the program of ${PAGE} prints what it says, with the token that the page makes`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ch-predecessor-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const token = join(folder, 'old-service-token');
  const create = commandOf(PAGE, 'npx cellhouse token create ', { 'old-service-token': token });
  expect(await runCli(create.split(' ').slice(2), gateway.env)).toMatchObject({ code: 0 });
  // The container's user must read it.
  chmodSync(token, 0o644);
  const [, file = ''] = commandOf(PAGE, 'python3 ').split(' ');
  const program = readFileSync(ROOT + file, 'utf8');
  const here = join(folder, 'predecessor.py');
  writeFileSync(here, program.replace('http://127.0.0.1:3874', gateway.url));
  const [, answer = ''] = /\) {2}# (.+)\n$/.exec(program) ?? [];
  const files = [`${here}:/${file}`, `${token}:/old-service-token`];
  expect(await python([`/${file}`], files)).toEqual([answer]);
});
