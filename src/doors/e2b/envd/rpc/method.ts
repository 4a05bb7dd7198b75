/** What a method of envd is: a row of the table in `../routes.ts`. */

import type { Fields } from '../../../shared/fields.ts';
import type { SandboxCall } from '../../surface.ts';

export type RpcMethod = Unary | ServerStream;

/** One message in, one message out. */
export interface Unary {
  readonly kind: 'unary';
  /** @throws RpcError, DomainError */
  handle(call: SandboxCall, message: Fields): Promise<object>;
}

/** One message in, any number of messages out. */
export interface ServerStream {
  readonly kind: 'stream';
  /** What is sent whenever nothing else was for as long as the caller asks. */
  readonly keepalive: object;
  /**
   * The stream ends when this resolves. If it throws, the final frame has the error. If the session has ended by then,
   * the stream is cut off instead.
   * @throws RpcError, DomainError
   */
  handle(call: SandboxCall, message: Fields, out: RpcStream): Promise<void>;
}

/** The messages of an answer. Its headers are sent with the first of them, or with the end. */
export interface RpcStream {
  /** Resolves when the operating system has taken the message, or never will: then `gone` is aborted. */
  send(message: object): Promise<void>;
  /** Aborted when nobody gets any further message, for whatever reason: the time limit is one. */
  readonly gone: AbortSignal;
  /** How long the caller waits for the end. The stream then ends by itself, with `deadline_exceeded`. Null: no limit. */
  readonly timeoutMs: number | null;
}

/** Methods by their names, such as `filesystem.Filesystem/Stat`. */
export type RpcMethods = Readonly<Record<string, RpcMethod>>;
