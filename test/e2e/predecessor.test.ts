/** Programs of the predecessor's users, with the libraries that they used, on a real gateway with real workers. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const CALLER = new URL('../support/predecessorCaller.py', import.meta.url).pathname;
/** Enough for the first plot of a session on a busy machine. */
const TIME_LIMIT_MS = 5_000;
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

/** Runs the caller beside the gateway, and resolves with its lines. */
async function run(...words: string[]): Promise<unknown[]> {
  const output = new PassThrough();
  const printed = text(output);
  await docker.run(image, [], output, {
    Tty: true,
    User: 'nobody',
    Entrypoint: ['python3', '/caller.py', ...words],
    HostConfig: { AutoRemove: true, Binds: [`${CALLER}:/caller.py:ro`], NetworkMode: 'host' },
  });
  output.end();
  const lines = (await printed).trim().split(/\r?\n/);
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
          detail: 'Code execution timed out after 5.0 seconds. Environment has been reset.',
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
