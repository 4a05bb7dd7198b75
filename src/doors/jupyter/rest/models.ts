/** What Jupyter's REST API tells (https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html). */
import type { Notebook } from '../../../domain/notebook.ts';
import type { KernelView } from '../../../service/contexts/kernels.ts';

export const KERNEL_NAME = 'python3';
/** The Jupyter Server whose API this is. */
export const API_VERSION = '2.15.0';

/** The kernel spec of an environment. @param environment null: of none */
export function kernelSpec(environment: string | null) {
  return {
    name: environment ?? KERNEL_NAME,
    resources: {},
    spec: {
      argv: [],
      env: {},
      display_name: `${environment ?? 'Python 3'} (Cellhouse)`,
      language: 'python',
      interrupt_mode: 'message',
      metadata: {},
    },
  } as const;
}

export interface KernelModel {
  readonly id: string;
  readonly name: string;
  readonly last_activity: string;
  readonly execution_state: 'starting' | 'idle' | 'busy';
  readonly connections: number;
}

/** @param connections WebSockets of this gateway */
export function kernelModel(
  { context, environment, lastActivityAt, unfinished }: KernelView,
  connections: number,
): KernelModel {
  const isBusy = unfinished.length > 0;
  return {
    id: context.id,
    name: environment ?? KERNEL_NAME,
    last_activity: jupyterTime(lastActivityAt),
    execution_state: context.status === 'STARTING' ? 'starting' : isBusy ? 'busy' : 'idle',
    connections,
  };
}

export function sessionModel({ id, path, name, type }: Notebook, kernel: KernelModel) {
  return { id, path, name, type, kernel, notebook: { path, name } };
}

/** With six digits of a second: clients of the gateway protocol parse no other form. */
export function jupyterTime(at: Date): string {
  return at.toISOString().replace('Z', '000Z');
}
