import type { ClientOptions } from 'ws';
import type { AgentAddress } from '../../domain/agentAddress.ts';

/** Where a kernel is reached: our agent at its address, or a plain Jupyter Server's `/channels` address. */
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

/** @param after the last seq that is stored for good: the agent frees everything up to it */
export function dialOptions(target: KernelTarget, after: number, epoch: number): DialOptions {
  if (target.kind === 'jupyter') return { url: target.url, headers: { ...target.headers } };
  const { address } = target;
  return {
    url: `ws://agent/channels?after=${after}&epoch=${epoch}`,
    // `ws` takes any Duplex; its types know sockets only.
    createConnection: (() => address.open()) as unknown as CreateConnection,
  };
}
