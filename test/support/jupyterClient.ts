/** JupyterLab's own client, unmodified, against a gateway or a Jupyter server. */
import type { Kernel, KernelManager, KernelMessage } from '@jupyterlab/services';
import type { TestGateway } from '../../testkit/gateway.ts';
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';

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
export interface Ran {
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
