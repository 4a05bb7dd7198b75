/** Debian's jupyter-server. The kernel is created by REST, and code runs over the kernel's WebSocket. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import { imageWithPackage } from '../../testkit/imageWithPackage.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { openChannels } from '../support/jupyterChannels.ts';
import type { CodeRunner } from './codeRunner.ts';

const START_TIMEOUT_MS = 60_000;
const TOKEN = 'for-this-bench-only';
const HEADERS = { authorization: `token ${TOKEN}` };

interface PlainServer {
  /** Of the kernel's WebSocket. */
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
