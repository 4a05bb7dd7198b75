import { connect } from 'node:net';
import type { ClientOptions } from 'ws';

/** Where a kernel is reached: our agent on its Unix socket, or a plain Jupyter Server's `/channels` address. */
export type KernelTarget =
  | { readonly kind: 'agent'; readonly socketPath: string }
  | {
      readonly kind: 'jupyter';
      /** `ws://…/api/kernels/<id>/channels?session_id=…`, or `ws+unix:<socket>:/api/…`. */
      readonly url: string;
      /** E.g. `Authorization: token …`. */
      readonly headers?: Readonly<Record<string, string>>;
    };

export interface DialOptions {
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly createConnection?: NonNullable<ClientOptions['createConnection']>;
}

/** @param after the last seq that is stored for good: the agent frees everything up to it */
export function dialOptions(target: KernelTarget, after: number, epoch: number): DialOptions {
  if (target.kind === 'jupyter') return { url: target.url, headers: { ...target.headers } };
  const { socketPath } = target;
  return {
    url: `ws://agent/channels?after=${after}&epoch=${epoch}`,
    // Dialled here and not through a `ws+unix:` address, in which some characters of a path would mean something else.
    createConnection: () => connect({ path: socketPath }),
  };
}
