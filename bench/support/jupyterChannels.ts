/** A client of a Jupyter server: one WebSocket to a kernel that is there already. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { RoundTrip } from '../contenders/codeRunner.ts';

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
