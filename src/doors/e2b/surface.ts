/** E2B has three servers: the API, one in each sandbox for code, and one for files and processes. Here all are below one path. */
import type { Session } from '../../domain/session.ts';
import type { DoorCall, UnknownRequest } from '../openDoor.ts';

/** A call on the data plane: its key was right, and the session of its sandbox was open when it came. */
export interface SandboxCall {
  /** Its service can act in this one session, and opens none. */
  readonly call: DoorCall;
  readonly sandboxId: string;
  /** Of the session. */
  readonly userUuid: string;
  readonly session: Session;
  /** Whether a signature in the URL stands for the key. */
  readonly isSigned: boolean;
  /** Whether the session has ended meanwhile. Then a stream must not end as if everything had been said. */
  hasEnded(): Promise<boolean>;
  /**
   * From now on the answer is a stream: it is cut off when the session ends at whatever gateway, or when this gateway
   * stops, which does not wait for it. Call this before the headers are sent.
   */
  onStream(): void;
}

export type Surface =
  | { readonly type: 'control' }
  /** Of a sandbox: code (49999), or files and processes (49983). */
  | { readonly type: 'interpreter' | 'envd'; readonly sandboxId: string }
  | { readonly type: 'signed' }
  | { readonly type: 'no-sandbox' }
  | { readonly type: 'no-port'; readonly sandboxId: string; readonly port: string };

const INTERPRETER_PORT = '49999';
const ENVD_PORT = '49983';
const REST_OF_SANDBOXES = /^\/(?:execute|contexts|files|health)(?:\/|$)/;
/** `/process.Process/Start`. */
const RPC = /^\/([a-z]+\.[A-Za-z]+\/[A-Za-z]+)$/;

/** The name of the method that a path calls. Null: it calls none. */
export function rpcNameIn(path: string): string | null {
  return RPC.exec(path)?.[1] ?? null;
}

/** Which of the servers a request is for. */
export function surfaceOf({
  req: { headers },
  path,
  query,
}: Pick<UnknownRequest, 'req' | 'path' | 'query'>): Surface {
  if (!REST_OF_SANDBOXES.test(path) && rpcNameIn(path) === null) return { type: 'control' };
  if (path === '/files' && query.has('signature')) return { type: 'signed' };
  const sandboxId = headers['e2b-sandbox-id']?.toString() ?? '';
  if (sandboxId === '') return { type: 'no-sandbox' };
  const port = headers['e2b-sandbox-port']?.toString() ?? ENVD_PORT;
  if (port === INTERPRETER_PORT) return { type: 'interpreter', sandboxId };
  return port === ENVD_PORT ? { type: 'envd', sandboxId } : { type: 'no-port', sandboxId, port };
}
