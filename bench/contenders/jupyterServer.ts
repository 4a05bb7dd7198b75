/** Debian's jupyter-server. The kernel is created by REST, and code runs over the kernel's WebSocket. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { WebSocket } from 'ws';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { imageWithPackage } from '../../testkit/testImage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import type { CodeRunner, RoundTrip } from '../suite/takeTurns.ts';

const START_TIMEOUT_MS = 60_000;
const TOKEN = 'for-this-bench-only';
const HEADERS = { authorization: `token ${TOKEN}` };

interface PlainServer {
  /** The URL of the kernel's WebSocket. */
  readonly url: string;
  close(): Promise<void>;
}

/** Uses a Unix socket. Over TCP, the server's small frames would wait for acknowledgements: it sets no TCP_NODELAY. */
export async function startPlainJupyterServer(): Promise<CodeRunner> {
  const server = await startServer();
  try {
    const channels = await openChannels(server.url, HEADERS);
    return {
      name: "Debian's jupyter-server",
      roundTrip: channels.roundTrip,
      close: async () => {
        channels.close();
        await server.close();
      },
    };
  } catch (error: unknown) {
    await server.close();
    throw error;
  }
}

/** Starts the server with one stock IPython kernel, in a container without a network. */
async function startServer(): Promise<PlainServer> {
  const docker = new Docker();
  const image = await imageWithPackage(docker, workerImage(), 'jupyter-server');
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-jupyter-'));
  const socketPath = join(directory, 'jupyter.sock');
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ['jupyter-server'],
    Cmd: [
      '--allow-root',
      '--ServerApp.sock=/server/jupyter.sock',
      '--ServerApp.root_dir=/tmp',
      `--IdentityProvider.token=${TOKEN}`,
      // By default the server drops output that is too fast for a browser.
      '--ZMQChannelsWebsocketConnection.limit_rate=False',
      // No pings, and only warnings in the log.
      '--ServerApp.tornado_settings={"ws_ping_interval": 0}',
      '--ServerApp.log_level=WARN',
    ],
    Labels: { 'cellhouse.test': 'jupyter-server' },
    HostConfig: { NetworkMode: 'none', Binds: [`${directory}:/server`], AutoRemove: true },
  });
  const close = async (): Promise<void> => {
    await container.remove({ force: true });
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await container.start();
    await socketAddress(socketPath).untilOpen(AbortSignal.timeout(START_TIMEOUT_MS));
    const kernel = JSON.parse(await post(socketPath, '', '{"name":"python3"}')) as { id: string };
    const path = `/api/kernels/${kernel.id}/channels`;
    return { url: `ws+unix:${socketPath}:${path}?session_id=${randomUUID()}`, close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** Makes a call to jupyter-server's kernel API. @returns the answer's body @throws Error if it fails */
function post(socketPath: string, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath,
      method: 'POST',
      path: `/api/kernels${path}`,
      headers: { ...HEADERS, 'content-length': body.length },
      signal: AbortSignal.timeout(START_TIMEOUT_MS),
    });
    call.on('error', reject);
    call.on('response', async (response) => {
      const answer = Buffer.concat(await response.toArray()).toString('utf8');
      if ((response.statusCode ?? 0) >= 300)
        return reject(new Error(`${response.statusCode} ${answer}`));
      resolve(answer);
    });
    call.end(body);
  });
}

// A client of a Jupyter server: one WebSocket to a kernel that exists already.

export interface Channels {
  readonly roundTrip: RoundTrip;
  close(): void;
}

interface Message {
  readonly msg_type: string;
  readonly parent_header: { readonly msg_id?: string };
  readonly content: {
    readonly status?: string;
    readonly execution_state?: string;
    readonly data?: Readonly<Record<string, string>>;
  };
}

/** @param url of the kernel's channels */
export async function openChannels(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Channels> {
  const socket = new WebSocket(url, { headers });
  await once(socket, 'open');
  return {
    roundTrip: async (code, expected) => {
      const startedAt = performance.now();
      const result = await execute(socket, code);
      const tookMs = performance.now() - startedAt;
      if (result !== expected) throw new Error(`${code} was ${result}`);
      return tookMs;
    },
    close: () => socket.terminate(),
  };
}

/**
 * Resolves with the result's text when both the reply and `idle` have arrived. Sends `stop_on_error: false`, because a
 * kernel otherwise drops requests that arrive just after an error.
 * @throws Error if the code failed
 */
function execute(socket: WebSocket, code: string): Promise<string | undefined> {
  const msgId = randomUUID();
  const content = {
    code,
    silent: false,
    store_history: false,
    allow_stdin: false,
    stop_on_error: false,
  };
  return new Promise((resolve, reject) => {
    let result: string | undefined;
    let hasReply = false;
    let isIdle = false;
    const onMessage = (data: unknown): void => {
      const { msg_type, parent_header, content }: Message = JSON.parse(String(data));
      if (parent_header.msg_id !== msgId) return;
      if (msg_type === 'execute_result') result = content.data?.['text/plain'];
      if (msg_type === 'execute_reply') hasReply = true;
      if (content.execution_state === 'idle') isIdle = true;
      if (content.status === 'error') finish(() => reject(new Error(JSON.stringify(content))));
      else if (hasReply && isIdle) finish(() => resolve(result));
    };
    const onClose = (): void => finish(() => reject(new Error('The connection was closed.')));
    const finish = (settle: () => void): void => {
      socket.off('message', onMessage).off('close', onClose);
      settle();
    };
    socket.on('message', onMessage).once('close', onClose);
    socket.send(
      JSON.stringify({
        header: {
          msg_id: msgId,
          session: msgId,
          username: '',
          msg_type: 'execute_request',
          version: '5.3',
        },
        parent_header: {},
        metadata: {},
        content: { ...content, user_expressions: {} },
        channel: 'shell',
      }),
    );
  });
}
