/** JupyterLab's own client, unmodified, against a gateway or a Jupyter server. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Kernel, KernelManager, KernelMessage } from '@jupyterlab/services';
import Docker from 'dockerode';
import { freePort } from '../../testkit/freePort.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';

export function kernelManagerOf(place: JupyterPlace): KernelManager {
  return new services.KernelManager({ serverSettings: settingsOf(place) });
}

/** Makes a token for the door. @param userUuid the only user it is for. Null: all of the tenant */
export async function jupyterToken(gateway: TestGateway, userUuid: string | null): Promise<string> {
  const { data, errors } = await gateway.graphql<{ createToken: { secret: string } }>(
    'mutation ($input: CreateTokenInput!) { createToken(input: $input) { secret } }',
    {
      input: {
        name: `jupyter-${userUuid ?? 'of-all'}`,
        role: userUuid === null ? 'TENANT' : 'USER',
        door: 'JUPYTER',
        ...(userUuid !== null && { userUuid }),
      },
    },
  );
  if (data === null) throw new Error(`No token was made: ${JSON.stringify(errors)}`);
  return data.createToken.secret;
}

/** What an execution gave: all of its messages in the order in which the client got them, and its reply. */
interface Ran {
  readonly messages: readonly KernelMessage.IMessage[];
  readonly reply: KernelMessage.IExecuteReplyMsg['content'];
  /** The text of its streams. */
  readonly text: string;
}

/** Runs a cell, and resolves when its future is done: reply and idle have come. */
export async function ran(
  kernel: Kernel.IKernelConnection,
  code: string,
  options: Partial<KernelMessage.IExecuteRequestMsg['content']> = {},
): Promise<Ran> {
  const future = kernel.requestExecute({ code, ...options });
  const messages: KernelMessage.IMessage[] = [];
  future.onIOPub = (message) => void messages.push(message);
  const { content: reply } = await future.done;
  return { messages, reply, text: textOf(messages) };
}

export function textOf(messages: readonly KernelMessage.IMessage[]): string {
  return messages
    .filter(({ header }) => header.msg_type === 'stream')
    .map(({ content }) => (content as { text: string }).text)
    .join('');
}

// Debian's Jupyter programs and clients, each in a container beside the gateway, as `imageWithPackage` makes them: none
// of them is installed on the machine.

/** The worker image's cache of fonts, which takes half a minute to make. */
const ENVIRONMENT = { MPLCONFIGDIR: '/usr/share/cellhouse/matplotlib' };
const CLIENTS = new URL('./jupyterClients', import.meta.url).pathname;
/** The first is the name of the image. Matplotlib, pandas, requests and the kernel are in the worker image. */
const PACKAGES = [
  'jupyter-nbconvert',
  'jupyter-server',
  'python3-aiohttp',
  'python3-jupyter-kernel-test',
  'python3-websocket',
  'python3-websockets',
] as const;

interface RanWords {
  readonly printed: string;
  readonly log: string;
  readonly exitCode: number;
}

export interface JupyterServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface DebianJupyter {
  /** Runs a program to its end. Files of test/support/jupyterClients are in `/clients`. */
  run(
    words: readonly [string, ...string[]],
    env?: Readonly<Record<string, string>>,
  ): Promise<RanWords>;
  /** Starts `jupyter-server` on loopback. @param settings further words of its command line */
  serve(
    settings: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<JupyterServer>;
}

/** Builds the image unless it exists. */
export async function debianJupyter(): Promise<DebianJupyter> {
  const docker = new Docker();
  const image = await imageWithPackage(docker, workerImage(), ...PACKAGES);
  const options = (program: string, env: Readonly<Record<string, string>>) => ({
    Entrypoint: [program],
    Tty: false,
    Env: Object.entries({ ...ENVIRONMENT, ...env }).map(([name, value]) => `${name}=${value}`),
    Labels: { 'cellhouse.test': 'jupyter' },
    HostConfig: { AutoRemove: true, Binds: [`${CLIENTS}:/clients:ro`], NetworkMode: 'host' },
  });
  return {
    run: async ([program, ...words], env = {}) => {
      const [out, err] = [new PassThrough(), new PassThrough()];
      const both = Promise.all([text(out), text(err)]);
      const [{ StatusCode: exitCode }] = await docker.run(
        image,
        words,
        [out, err],
        options(program, env),
      );
      out.end();
      err.end();
      const [printed, log] = await both;
      return { printed, log, exitCode };
    },
    serve: async (settings, env = {}) => {
      const port = await freePort();
      const container = await docker.createContainer({
        ...options('jupyter-server', env),
        Image: image,
        Cmd: [
          '--allow-root',
          `--ServerApp.port=${port}`,
          '--ServerApp.port_retries=0',
          ...settings,
        ],
      });
      const url = `http://127.0.0.1:${port}`;
      const close = () => container.remove({ force: true });
      try {
        await container.start();
        await until('the Jupyter server', async () => {
          const answer = await fetch(`${url}/api`).catch(() => null);
          return answer?.ok;
        });
        return { url, close };
      } catch (error: unknown) {
        await close();
        throw error;
      }
    },
  };
}
