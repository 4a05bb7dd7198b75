/**
 * The calls of a notebook. A cell that gets no reply is sent again under the same id of its request, by a client that calls
 * itself the same, at another gateway. It is then told what it has not got yet.
 */
import { type JupyterPlace, services, settingsOf } from '../../testkit/jupyterPlace.ts';
import type { CallAnswer, CallRecord } from '../history.ts';
import { type Attempt, type Outcome, untilAnswered } from './attempts.ts';
import { type Calls, type CallsDeps, NO_OUTPUT, type Wish } from './calls.ts';
import { aborted, runCell } from './jupyterClient.ts';

const { KernelAPI } = services;

/** What Jupyter calls a kernel is a context, and each call but `createContext` needs one. */
export type JupyterCalls = Pick<
  Calls,
  'execute' | 'restartKernel' | 'createContext' | 'deleteContext'
> & {
  /** Interrupts what runs in the kernel, whatever it is. */
  interruptKernel(user: string, contextId: string): Promise<CallRecord>;
};

export function createJupyterCalls(deps: CallsDeps): JupyterCalls {
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
        // Its session has ended before its kernel was ready.
        return 'refusal' in outcome ? { failure: outcome.refusal } : outcome;
      }),
  };
}

/** One that is there, as a page that is opened again finds it; else a new one. */
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

/** @param contextId that of the answer, unless the work gives it. @throws if no gateway answers */
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
