/** Runs a cell in a kernel by JupyterLab's own client, at one gateway and by a connection of its own. */
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { within } from '../../src/async/within.ts';
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';
import { type CallAnswer, compact } from '../history.ts';
import type { Outcome } from './attempts.ts';

/** The client itself would try for much longer, always at the same gateway. */
const CONNECT_LIMIT_MS = 4_000;
const { getKernelModel } = services.KernelAPI;
const REPLY_ID = /^(.+)_reply$/;

export interface CellRequest {
  readonly kernelId: string;
  /** What the client calls itself, at whichever gateway: Jupyter's `session_id`. */
  readonly clientId: string;
  /** The id of the request. Sent again, it runs nothing again. */
  readonly id: string;
  readonly code: string;
  readonly heard: Heard;
}

/** What has been told of a request, by all connections. A message that comes twice has the same id both times. */
export interface Heard {
  /** The messages that came while the cell ran, by their ids, in the order in which they came first. */
  readonly messages: Map<string, KernelMessage.IMessage>;
}

/** Sends the request, and resolves when its reply has come. @throws if the connection breaks */
export async function runCell(
  place: JupyterPlace,
  request: CellRequest,
  signal: AbortSignal,
): Promise<Outcome<CallAnswer>> {
  const { kernelId: id, clientId } = request;
  const serverSettings = settingsOf(place);
  const model = { id, name: 'python3' };
  const kernel = new services.KernelConnection({ model, clientId, serverSettings });
  try {
    const work = connected(kernel).then(() => true);
    const isConnected = await within(CONNECT_LIMIT_MS, work, () => false);
    // A connection that is refused does not say why: JupyterLab asks for its kernels from time to time, and so learns it.
    const isGone = isConnected
      ? kernel.status === 'dead'
      : (await Promise.race([getKernelModel(id, serverSettings), aborted(signal)])) === undefined;
    if (isGone) return { refusal: 'NOT_FOUND' };
    if (!isConnected) return { failure: 'no connection' };
    return await Promise.race([replied(kernel, request), broken(kernel), aborted(signal)]);
  } finally {
    kernel.dispose();
  }
}

async function replied(
  kernel: Kernel.IKernelConnection,
  { id, code, heard }: CellRequest,
): Promise<Outcome<CallAnswer>> {
  const reply = new Promise<KernelMessage.IExecuteReplyMsg>((resolve) => {
    // As they arrive: what has arrived is not told again.
    kernel.anyMessage.connect((_, { msg, direction }) => {
      if (direction === 'send' || !isAbout(msg, id)) return;
      if (services.KernelMessage.isExecuteReplyMsg(msg)) resolve(msg);
      else heard.messages.set(msg.header.msg_id, msg);
    });
  });
  kernel.sendShellMessage(requestOf(kernel.clientId, id, code), true);
  const { header, content } = await reply;
  const [, executionId] = REPLY_ID.exec(header.msg_id) ?? [];
  if (executionId === undefined) return refused(content);
  const ended = { id: executionId, status: statusOf(content), stateLost: false, exitCode: null };
  return { answer: { ...ended, ...shownBy(heard) } };
}

function isAbout({ parent_header }: KernelMessage.IMessage, id: string): boolean {
  return 'msg_id' in parent_header && parent_header.msg_id === id;
}

function requestOf(session: string, msgId: string, code: string) {
  return services.KernelMessage.createMessage<KernelMessage.IExecuteRequestMsg>({
    ...{ msgType: 'execute_request', channel: 'shell', msgId, username: '', session },
    content: {
      ...{ code, silent: false, store_history: true, user_expressions: {} },
      ...{ allow_stdin: false, stop_on_error: false },
    },
  });
}

function shownBy({ messages }: Heard): Pick<CallAnswer, 'stdout' | 'result'> {
  let stdout = '';
  let result: string | null = null;
  for (const message of messages.values()) {
    if (services.KernelMessage.isStreamMsg(message)) stdout += message.content.text;
    if (services.KernelMessage.isExecuteResultMsg(message))
      result = String(message.content.data['text/plain']);
  }
  return { stdout: compact(stdout), result };
}

/** Nothing has run. The same request may be sent again. */
function refused(content: KernelMessage.IExecuteReplyMsg['content']): Outcome<never> {
  const name = 'ename' in content ? content.ename : content.status;
  if (name === 'CellhouseBusy') return { failure: name };
  return { refusal: name === 'DeadKernelError' ? 'NOT_FOUND' : name };
}

function statusOf(content: KernelMessage.IExecuteReplyMsg['content']): string {
  if (content.status === 'ok') return 'OK';
  if (content.status !== 'error') return 'CANCELLED';
  switch (content.ename) {
    case 'TimeoutError':
      return 'TIMEOUT';
    case 'KeyboardInterrupt':
      return 'INTERRUPTED';
    case 'DeadKernelError':
      return 'WORKER_LOST';
    default:
      return 'ERROR';
  }
}

/** Resolves when it is connected, or known to be dead. */
function connected(kernel: Kernel.IKernelConnection): Promise<void> {
  return new Promise((resolve) => {
    kernel.connectionStatusChanged.connect((_, status) => status === 'connected' && resolve());
    kernel.statusChanged.connect((_, status) => status === 'dead' && resolve());
  });
}

/** Settles when the connection, or the kernel itself, is gone. */
function broken(kernel: Kernel.IKernelConnection): Promise<Outcome<never>> {
  return new Promise((resolve, reject) => {
    kernel.statusChanged.connect((_, status) => {
      if (status === 'dead') resolve({ refusal: 'NOT_FOUND' });
      if (status === 'autorestarting') resolve({ failure: 'the kernel has died' });
    });
    kernel.connectionStatusChanged.connect((_, status) => {
      if (status !== 'connected') reject(new Error('The connection broke.'));
    });
  });
}

/** Rejects when the signal is aborted, also if it is already. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
