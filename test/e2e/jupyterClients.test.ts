/**
 * Clients of Jupyter servers: Debian's own programs, and the traffic of Open WebUI, AutoGen and smolagents, replayed
 * with the libraries that these use. The same tests run against Debian's jupyter-server, which shows that the tests are
 * right, and against a jupyter-server that gets its kernels from the door.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JUPYTER_CLIENTS } from '../../src/cli/clients.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import type { JupyterPlace } from '../../testkit/jupyterPlace.ts';
import { EXTENT } from '../extent.ts';
import { EVERY_ANSWER, EVERY_TYPE } from '../support/everyAnswer.ts';
import {
  type DebianJupyter,
  debianJupyter,
  type JupyterServer,
  jupyterToken,
} from '../support/jupyterClient.ts';

const FIRST_BUILD_MS = 300_000;
const CONTROL_TOKEN = 'for-this-test-only';
const PNG = '89504e470d0a1a0a';

const WHERE = {
  control: "Debian's own jupyter-server",
  door: 'the door, with a token for one user',
  behind: "Debian's jupyter-server whose gateway is the door",
  doorOfAll: 'the door, with a token for all users of a tenant',
} as const;

let gateway: TestGateway;
let debian: DebianJupyter;
const servers: JupyterServer[] = [];
/** Filled by `beforeAll`. */
const places = {} as Record<keyof typeof WHERE, JupyterPlace>;

beforeAll(async () => {
  debian = await debianJupyter();
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
  const url = `${gateway.url}/jupyter`;
  const [ofOne, ofAll] = [await jupyterToken(gateway, 'ann'), await jupyterToken(gateway, null)];
  const [control, behind] = await Promise.all([
    debian.serve([`--IdentityProvider.token=${CONTROL_TOKEN}`]),
    debian.serve(
      // This server asks its own clients for no token, because nbconvert's WebSocket cannot send one.
      [`--gateway-url=${url}`, '--IdentityProvider.token=', '--ServerApp.disable_check_xsrf=True'],
      { JUPYTER_GATEWAY_AUTH_TOKEN: ofOne },
    ),
  ]);
  servers.push(control, behind);
  places.door = { url, token: ofOne };
  places.doorOfAll = { url, token: ofAll };
  places.control = { url: control.url, token: CONTROL_TOKEN };
  places.behind = { url: behind.url, token: 'none' };
}, FIRST_BUILD_MS);
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await gateway?.destroy();
});

/** What a replayed client got, and what is wrong with the messages that it got. */
interface Replayed {
  readonly answers: unknown;
  readonly traffic: {
    readonly types: readonly string[];
    readonly faults: readonly string[];
    /** The states of each request whose messages do not lie between busy and idle. A stock kernel has such requests. */
    readonly misordered: readonly unknown[];
    readonly isV1?: boolean;
  };
}

/** @throws Error unless all messages that came are valid and, except from the control, lie between busy and idle */
async function replay(
  client: string,
  place: keyof typeof WHERE,
  ...more: string[]
): Promise<Replayed> {
  const { url, token } = places[place];
  const script = `/clients/${client}.py`;
  const { printed, log } = await debian.run(['python3', script, url, token, ...more]);
  if (printed === '') throw new Error(log);
  const replayed = JSON.parse(printed) as Replayed;
  const { faults, misordered } = replayed.traffic;
  expect(faults).toEqual([]);
  if (place !== 'control') expect(misordered).toEqual([]);
  return replayed;
}

describe.each(EXTENT.jupyterPlaces.map((place) => [WHERE[place], place] as const))(
  'At %s',
  (_where, place) => {
    it('Open WebUI runs each code in a kernel of its own, and sees text, figure and error', async () => {
      const { answers } = await replay('openWebui', place);
      expect(answers).toEqual({
        codes: [
          { stdout: 'out', stderr: 'err', result: '42' },
          {
            stdout: '',
            stderr: '',
            result: expect.stringMatching(/^data:image\/png;base64,iVBOR/),
          },
          { stdout: '', stderr: 'ZeroDivisionError: division by zero', result: '' },
        ],
        left: [],
      });
    });

    it('AutoGen starts, keeps, restarts and ends a kernel, and gets text, figure, table and error', async () => {
      const { answers } = await replay('autogen', place);
      expect(answers).toEqual({
        hasSpec: true,
        isListed: true,
        blocks: [
          { text: ['set\n'], data: {} },
          { text: ['42'], data: {} },
          { text: [expect.stringMatching(/^<Figure size/)], data: { 'image/png': PNG } },
          { text: ['   a\n0  1\n1  2'], data: { 'text/html': '<div>' } },
        ],
        failed: { error: 'ZeroDivisionError: division by zero', traceback: true },
        after: { text: ['43'], data: {} },
        afterRestart: [
          { error: "NameError: name 'x' is not defined", traceback: true },
          { text: ["'fresh'"], data: {} },
        ],
      });
    });

    it('smolagents connects for each action, keeps the variables, and takes the final answer from an error', async () => {
      const { answers } = await replay('smolagents', place);
      expect(answers).toEqual({
        isReady: true,
        created: 201,
        actions: [
          { logs: 'sum\n' },
          { logs: '', output: '6' },
          { logs: '', error: 'IndexError: list index out of range' },
          { logs: '', finalAnswer: { total: 6 } },
        ],
        ended: 204,
      });
    });
  },
);

/** Runs nbconvert on figures.ipynb. @param lines the commands to type @returns each cell's count and outputs */
async function executed(lines: string, env: Readonly<Record<string, string>>): Promise<unknown[]> {
  const script = `cd /tmp && cp /clients/figures.ipynb notebook.ipynb && { ${lines}\n} >&2 && cat notebook.nbconvert.ipynb`;
  const { printed, log, exitCode } = await debian.run(['sh', '-c', script], env);
  if (exitCode !== 0) throw new Error(log);
  const { cells } = JSON.parse(printed) as {
    cells: Record<'execution_count' | 'outputs', unknown>[];
  };
  return cells.map(({ execution_count, outputs }) => [execution_count ?? null, outputs ?? []]);
}

const PROTOCOLS = [
  ['v1', 'control', true],
  ['plain', 'control', false],
  ['v1', 'door', true],
  ['plain', 'door', false],
  // A jupyter-server that has a gateway offers its own clients no subprotocol.
  ['plain', 'behind', false],
] as const;

it.each(PROTOCOLS)(
  'every kind of request has its answer, over %s at %s',
  async (protocol, place, isV1) => {
    const { answers, traffic } = await replay('everyMessage', place, protocol);
    expect(traffic.isV1).toBe(isV1);
    expect(answers).toEqual(EVERY_ANSWER);
    expect(traffic.types).toEqual(EVERY_TYPE);
  },
);

const FIGURE = {
  data: { 'image/png': expect.stringMatching(/^iVBOR/) },
  output_type: 'display_data',
};

it('nbconvert executes a notebook with figures at the door as it does with a kernel of its own', async () => {
  const { door, behind } = places;
  const nbconvert = 'jupyter nbconvert --to notebook --execute notebook.ipynb';
  const manager = 'jupyter_server.gateway.managers.GatewayKernelManager';
  const viaGateway = `${nbconvert} --ExecutePreprocessor.kernel_manager_class=${manager}`;
  const ours = JUPYTER_CLIENTS.find(({ client }) => client.includes('nbconvert'));
  const [local, viaServer, asWeSay] = [
    await executed(nbconvert, {}),
    await executed(viaGateway, { JUPYTER_GATEWAY_URL: behind.url }),
    await executed(ours?.lines({ url: gateway.url, token: door.token, program: '' }) ?? '', {}),
  ];
  const html = (text: string) => ({ data: { 'text/html': expect.arrayContaining([text]) } });
  const stream = (name: string, text: string) => ({ output_type: 'stream', name, text: [text] });
  expect(local).toMatchObject([
    [null, []],
    [1, [stream('stdout', 'out\n'), stream('stderr', 'err\n'), { data: { 'text/plain': ['42'] } }]],
    [2, [FIGURE]],
    [3, [html('      <th>name</th>\n')]],
    [4, [html('<b>after</b>'), FIGURE]],
    [5, [{ output_type: 'error', ename: 'ZeroDivisionError' }]],
    [6, [stream('stdout', 'done 42\n')]],
  ]);
  expect(viaServer).toEqual(local);
  expect(asWeSay).toEqual(local);
});
