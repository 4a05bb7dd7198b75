/** Debian's jupyter-server. The kernel is created by REST, and code runs over the kernel's WebSocket. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { startJupyterServer } from '../../testkit/kernelServers.ts';
import type { CodeRunner } from './codeRunner.ts';

/** Settings in addition to those of {@link startJupyterServer}: no pings, and only warnings in the log. */
const SETTINGS = [
  '--ServerApp.tornado_settings={"ws_ping_interval": 0}',
  '--ServerApp.log_level=WARN',
];

interface Message {
  readonly msg_type: string;
  readonly parent_header: { readonly msg_id?: string };
  readonly content: {
    readonly status?: string;
    readonly execution_state?: string;
    readonly data?: Readonly<Record<string, string>>;
  };
}

/** Uses a Unix socket. Over TCP, the server's small frames would wait for acknowledgements: it sets no TCP_NODELAY. */
export async function startPlainJupyterServer(): Promise<CodeRunner> {
  const server = await startJupyterServer(SETTINGS);
  try {
    const { target } = server;
    if (target.kind !== 'jupyter') throw new Error('That is no Jupyter server.');
    const socket = new WebSocket(target.url, { headers: target.headers });
    await once(socket, 'open');
    return {
      name: "Debian's jupyter-server",
      roundTrip: async (code, expected) => {
        const startedAt = performance.now();
        const result = await execute(socket, code);
        const tookMs = performance.now() - startedAt;
        if (result !== expected) throw new Error(`${code} was ${result}`);
        return tookMs;
      },
      close: async () => {
        socket.terminate();
        await server.close();
      },
    };
  } catch (error: unknown) {
    await server.close();
    throw error;
  }
}

/**
 * Resolves with the result's text when both the reply and `idle` have arrived. By default, a kernel drops requests that
 * arrive just after an error (`stop_on_error`), so the next one would have no result.
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
