/** Runs a cell in a kernel with JupyterLab's own client, at one gateway and over a connection of its own. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { within } from '../../src/async/within.ts';
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';
import { type CallAnswer, type CallRecord, type CellKind, compact } from '../history.ts';
import type { Act, ActingAtDoor } from './acts.ts';
import { type Attempt, type Outcome, untilAnswered } from './attempts.ts';
import { type Calls, type CallsDeps, NO_OUTPUT, type Wish } from './calls.ts';
import { cellsOf } from './cells.ts';
import { type Client, live } from './createUser.ts';

/** Without this limit, the client would try for much longer, always at the same gateway. */
const CONNECT_LIMIT_MS = 4_000;
const { getKernelModel } = services.KernelAPI;
const REPLY_ID = /^(.+)_reply$/;

interface CellRequest {
  readonly kernelId: string;
  /** Jupyter's `session_id`, which is the same at all gateways. */
  readonly clientId: string;
  /** The id of the request. A request that is sent again with this id does not run the code again. */
  readonly id: string;
  readonly code: string;
  readonly heard: Heard;
}

/** What has arrived about a request, over all connections. A message that arrives twice has the same id both times. */
interface Heard {
  /** The messages that arrived while the cell ran, by their ids, in the order of their first arrival. */
  readonly messages: Map<string, KernelMessage.IMessage>;
}

/** Sends the request, and resolves when its reply has arrived. @throws if the connection breaks */
async function runCell(
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
    // The client does not learn why a connection is refused. So this asks for the kernel, as JupyterLab does.
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
    // Messages are kept as soon as they arrive, because the gateway may not send them again.
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

/** The outcome of a request that was refused, so that nothing has run. */
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

/** Resolves when the kernel is connected, or known to be dead. */
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

/** Rejects when the signal is aborted, or has been aborted already. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

// The calls of a notebook. A cell that gets no reply is sent again at another gateway, with the same `session_id` and
// the same id of the request. That gateway then sends the messages that have not arrived yet.

const { KernelAPI } = services;

/** A kernel of Jupyter is a context of Cellhouse. Each call except `createContext` needs one. */
type JupyterCalls = Pick<Calls, 'execute' | 'restartKernel' | 'createContext' | 'deleteContext'> & {
  /** Interrupts whatever runs in the kernel. */
  interruptKernel(user: string, contextId: string): Promise<CallRecord>;
};

function createJupyterCalls(deps: CallsDeps): JupyterCalls {
  const call = async (
    wish: Pick<Wish, 'user' | 'operation'> & Partial<Wish>,
    attempt: Attempt<CallAnswer>,
  ): Promise<CallRecord> => {
    const none = { cell: null, key: null, executionId: null, contextId: null };
    const record = { wire: 'jupyter', ...none, ...wish, ...(await untilAnswered(deps, attempt)) };
    deps.record(record as CallRecord);
    return record as CallRecord;
  };
  const callKernel = (
    wish: Pick<Wish, 'user' | 'operation'> & { readonly contextId: string },
    work: (id: string, place: ReturnType<typeof settings>) => Promise<unknown>,
  ): Promise<CallRecord> =>
    call(wish, (url, token, signal) =>
      asked(work(wish.contextId, settings(url, token)), wish.contextId, signal),
    );
  return {
    execute: (user, { kind, key, code }, contextId = '') => {
      const heard = { messages: new Map() };
      return call(
        { user, operation: 'execute', cell: kind, key, contextId },
        (url, token, signal) =>
          runCell(
            placeOf(url, token),
            { kernelId: contextId, clientId: `notebook of ${user}`, id: key, code, heard },
            signal,
          ),
      );
    },
    interruptKernel: (user, contextId) =>
      callKernel({ user, operation: 'interruptKernel', contextId }, KernelAPI.interruptKernel),
    restartKernel: (user, contextId = '') =>
      callKernel({ user, operation: 'restartKernel', contextId }, KernelAPI.restartKernel),
    deleteContext: (user, contextId) =>
      callKernel({ user, operation: 'deleteContext', contextId }, KernelAPI.shutdownKernel),
    createContext: (user) =>
      call({ user, operation: 'createContext' }, async (url, token, signal) => {
        const outcome = await asked(kernelAt(settings(url, token)), null, signal);
        // The session ended before the kernel was ready.
        return 'refusal' in outcome ? { failure: outcome.refusal } : outcome;
      }),
  };
}

/** The id of a running kernel, which a page would find when it is opened again, or else of a new kernel. */
async function kernelAt(place: ReturnType<typeof settings>): Promise<string> {
  const { listRunning, startNew } = KernelAPI;
  const [found] = await listRunning(place);
  return (found ?? (await startNew({ name: 'python3' }, place))).id;
}

function placeOf(url: string, token: string): JupyterPlace {
  return { url: `${url}/jupyter`, token };
}

function settings(url: string, token: string): ReturnType<typeof settingsOf> {
  return settingsOf(placeOf(url, token));
}

/** @param contextId the id in the answer, unless `work` resolves with an id. @throws if no gateway answers */
async function asked(
  work: Promise<unknown>,
  contextId: string | null,
  signal: AbortSignal,
): Promise<Outcome<CallAnswer>> {
  try {
    const done = await Promise.race([work, aborted(signal)]);
    const id = typeof done === 'string' ? done : contextId;
    return { answer: { ...NO_OUTPUT, id, status: 'READY' } };
  } catch (error: unknown) {
    if (!(error instanceof services.ServerConnection.ResponseError)) throw error;
    const { status } = error.response;
    return status === 404 ? { refusal: 'NOT_FOUND' } : { failure: `HTTP ${status}` };
  }
}

// What a user of Jupyter does. The checks of all cells and contexts apply.

interface Notebook extends ActingAtDoor<JupyterCalls> {
  /** The kernel that the user believes to be open. */
  kernelId: string | null;
}

/** A cell that prints for two seconds runs at most about this long before the interrupt is sent. */
const MAX_RUN_BEFORE_INTERRUPT_MS = 1_500;

const JUPYTER_ACTS: readonly Act<Notebook>[] = [
  { weight: 40, act: (notebook) => runInKernel(notebook, 'counter') },
  { weight: 25, act: (notebook) => runInKernel(notebook, 'stream') },
  { weight: 8, act: runAndInterrupt },
  { weight: 4, act: restart },
  { weight: 3, act: shutDown },
];

/** Null: there is no kernel. */
async function runInKernel(notebook: Notebook, kind: CellKind): Promise<CallRecord | null> {
  const { name, calls, cell } = notebook;
  const kernelId = await kernelOf(notebook);
  if (kernelId === null) return null;
  const call = await calls.execute(name, cell(kind), kernelId);
  noteEnd(notebook, call);
  return call;
}

async function runAndInterrupt(notebook: Notebook): Promise<void> {
  const { name, calls, random } = notebook;
  const kernelId = await kernelOf(notebook);
  if (kernelId === null) return;
  const interrupt = async () => {
    await delay(random.between(0, MAX_RUN_BEFORE_INTERRUPT_MS));
    await calls.interruptKernel(name, kernelId);
  };
  await Promise.all([runInKernel(notebook, 'stream'), interrupt()]);
}

async function restart(notebook: Notebook): Promise<void> {
  const { name, calls, kernelId } = notebook;
  if (kernelId !== null) noteEnd(notebook, await calls.restartKernel(name, kernelId));
}

async function shutDown(notebook: Notebook): Promise<void> {
  const { name, calls, kernelId } = notebook;
  if (kernelId === null) return;
  const { answer } = await calls.deleteContext(name, kernelId);
  if (answer) notebook.kernelId = null;
}

async function kernelOf(notebook: Notebook): Promise<string | null> {
  const { name, calls } = notebook;
  if (notebook.kernelId === null) {
    const { answer } = await calls.createContext(name, '');
    notebook.kernelId = answer?.id ?? null;
  }
  return notebook.kernelId;
}

/** Forgets a kernel that has ended with its session. */
function noteEnd(notebook: Notebook, { refusal }: CallRecord): void {
  if (refusal === 'NOT_FOUND') notebook.kernelId = null;
}

// A user of the Jupyter door, whose token is for this door only.

/** An audit may have to be repeated: the kernel may have ended, or the reply may have been missed. */
const MAX_AUDITS = 3;

/** The user starts acting immediately. */
export function createJupyterUser(deps: CallsDeps & { readonly name: string }): Client {
  const { name, random } = deps;
  const calls = createJupyterCalls(deps);
  const cell = cellsOf(name);
  const notebook: Notebook = { name, calls, random, cell, kernelId: null };
  const life = live(deps, async () => await random.pickWeighted(JUPYTER_ACTS)?.act(notebook));

  async function audit(): Promise<CallRecord> {
    for (let count = 1; ; count += 1) {
      const call = await runInKernel(notebook, 'audit');
      if (call && (call.answer !== null || count === MAX_AUDITS)) return call;
      if (count === MAX_AUDITS) return await calls.createContext(name, '');
    }
  }

  return {
    name,
    stop: life.stop,
    audit,
    release: () => calls.deleteContext(name, notebook.kernelId ?? ''),
  };
}
