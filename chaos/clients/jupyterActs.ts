/** What a user of Jupyter does. The checks are those of all cells and contexts. */
import { setTimeout as delay } from 'node:timers/promises';
import type { CallRecord, CellKind } from '../history.ts';
import type { Act, ActingAtDoor } from './acting.ts';
import type { JupyterCalls } from './jupyterCalls.ts';

export interface Notebook extends ActingAtDoor<JupyterCalls> {
  /** The kernel that the user believes to be open. */
  kernelId: string | null;
}

/** A cell that prints for two seconds runs at most about this long before the interrupt is sent. */
const MAX_RUN_BEFORE_INTERRUPT_MS = 1_500;

export const JUPYTER_ACTS: readonly Act<Notebook>[] = [
  { weight: 40, act: (notebook) => runInKernel(notebook, 'counter') },
  { weight: 25, act: (notebook) => runInKernel(notebook, 'stream') },
  { weight: 8, act: runAndInterrupt },
  { weight: 4, act: restart },
  { weight: 3, act: shutDown },
];

/** Null: there is no kernel. */
export async function runInKernel(notebook: Notebook, kind: CellKind): Promise<CallRecord | null> {
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

/** A kernel ends with its session. */
function noteEnd(notebook: Notebook, { refusal }: CallRecord): void {
  if (refusal === 'NOT_FOUND') notebook.kernelId = null;
}
