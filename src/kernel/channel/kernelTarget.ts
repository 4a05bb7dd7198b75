import type { ClientOptions } from 'ws';
import type { AgentAddress } from '../../domain/agentAddress.ts';

/** How a kernel is reached: through our agent's address, or through the `/channels` URL of a plain Jupyter Server. */
export type KernelTarget =
  | { readonly kind: 'agent'; readonly address: AgentAddress }
  | {
      readonly kind: 'jupyter';
      /** `ws://…/api/kernels/<id>/channels?session_id=…`, or `ws+unix:<socket>:/api/…`. */
      readonly url: string;
      /** E.g. `Authorization: token …`. */
      readonly headers?: Readonly<Record<string, string>>;
    };

type CreateConnection = NonNullable<ClientOptions['createConnection']>;

export interface DialOptions {
  readonly url: string;
  readonly headers?: Record<string, string>;
  readonly createConnection?: CreateConnection;
}

/** @param after the last seq that is stored; the agent frees all messages up to it */
export function dialOptions(target: KernelTarget, after: number, epoch: number): DialOptions {
  if (target.kind === 'jupyter') return { url: target.url, headers: { ...target.headers } };
  const { address } = target;
  return {
    url: `ws://agent/channels?after=${after}&epoch=${epoch}`,
    // `ws` accepts any Duplex, but its types allow only sockets.
    createConnection: (() => address.open()) as unknown as CreateConnection,
  };
}
