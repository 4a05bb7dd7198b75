/** A user of the Jupyter door, whose token is for this door only. */
import type { CallRecord } from '../history.ts';
import type { CallsDeps } from './calls.ts';
import { cellsOf } from './cells.ts';
import type { Client } from './createUser.ts';
import { JUPYTER_ACTS, type Notebook, runInKernel } from './jupyterActs.ts';
import { createJupyterCalls } from './jupyterCalls.ts';
import { live } from './live.ts';

/** The kernel that the user knows may have ended, or a reply may have been missed. */
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
