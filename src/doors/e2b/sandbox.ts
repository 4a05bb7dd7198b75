/** Serves a call on the data plane of a sandbox, also if the sandbox ends meanwhile. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { DomainError } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import { singleUser } from '../../domain/users.ts';
import type { SessionNames } from '../../service/access/sessionKeys.ts';
import type { Principal } from '../../service/principal.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { WatchedSession } from '../../service/sessions/sessions.ts';
import type { DoorCall, UnknownRequest } from '../openDoor.ts';
import { answerJson, type JsonAnswer } from '../shared/jsonAnswer.ts';
import { userPrefixOf } from '../shared/target.ts';

// A sandbox is a session. The name of the session's user contains the sandbox's id, so every gateway can find the
// session.

/** The ids that E2B's own proxy accepts. */
const SANDBOX_ID = /^i[0-9a-z]{20}$/;
const ID_LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 20;
/**
 * The largest multiple of 36 in a byte. Bytes from this one on are skipped, since they would make some letters more
 * likely than others.
 */
const EVEN_BYTES = 252;
/** The end of each prefix that {@link userPrefixOf} returns for this door. */
const PREFIX_END = ':e2b:';

export function isSandboxId(given: string): boolean {
  return SANDBOX_ID.test(given);
}

/** An id that nobody can guess, because keys to the sandbox are derived from it. */
export function newSandboxId(): string {
  let letters = '';
  while (letters.length < ID_LENGTH)
    for (const byte of randomBytes(ID_LENGTH))
      if (byte < EVEN_BYTES) letters += ID_LETTERS[byte % ID_LETTERS.length];
  return `i${letters.slice(0, ID_LENGTH)}`;
}

/** The user whose session is this sandbox of the holder. */
export function userOf(holder: Principal, sandboxId: string): string {
  return `${userPrefixOf(holder)}${sandboxId}`;
}

/** The id of the sandbox that is this user's session. Null: the session was not made by this door. */
export function sandboxIdIn(userUuid: string): string | null {
  const prefix = prefixIn(userUuid);
  return prefix === null ? null : userUuid.slice(prefix.length);
}

function prefixIn(userUuid: string): string | null {
  const end = userUuid.lastIndexOf(PREFIX_END) + PREFIX_END.length;
  return isSandboxId(userUuid.slice(end)) ? userUuid.slice(0, end) : null;
}

export const SANDBOX_NAMES: SessionNames = { prefixOf: userPrefixOf, prefixIn };

// E2B has three servers: the API, and in each sandbox one for code and one for files and processes. Here all three
// share one path.

/** A call on the data plane. Its key was valid, and its sandbox's session was open when the call came. */
export interface SandboxCall {
  /** Its service can act only in this session, and cannot open a session. */
  readonly call: DoorCall;
  readonly sandboxId: string;
  /** The user of the session. */
  readonly userUuid: string;
  readonly session: Session;
  /** Whether the call had a signature in its URL instead of the key. */
  readonly isSigned: boolean;
  /**
   * Whether the session has ended meanwhile. If so, a stream must be cut off, because a normal end would mean that it
   * was complete.
   */
  hasEnded(): Promise<boolean>;
  /**
   * From now on the answer is a stream. The stream is cut off when the session ends, at any gateway, or when this
   * gateway stops. The stop does not wait for the stream. Call this before the headers are sent.
   */
  onStream(): void;
}

export type Surface =
  | { readonly type: 'control' }
  /** A server of a sandbox: for code (port 49999), or for files and processes (port 49983). */
  | { readonly type: 'interpreter' | 'envd'; readonly sandboxId: string }
  | { readonly type: 'signed' }
  | { readonly type: 'no-sandbox' }
  | { readonly type: 'no-port'; readonly sandboxId: string; readonly port: string };

const INTERPRETER_PORT = '49999';
const ENVD_PORT = '49983';
const REST_OF_SANDBOXES = /^\/(?:execute|contexts|files|health)(?:\/|$)/;
/** For example, `/process.Process/Start`. */
const RPC = /^\/([a-z]+\.[A-Za-z]+\/[A-Za-z]+)$/;

/** The name of the RPC method that a path calls. Null: the path does not have this form. */
export function rpcNameIn(path: string): string | null {
  return RPC.exec(path)?.[1] ?? null;
}

/** The server that a request is for. */
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

/** @param isSigned see {@link SandboxCall} */
export async function inSandbox(
  call: DoorCall,
  isSigned: boolean,
  serve: (call: SandboxCall) => Promise<void>,
): Promise<void> {
  const { res, service, stopping } = call;
  const userUuid = singleUser(call.principal.users) ?? '';
  const sandboxId = sandboxIdIn(userUuid) ?? '';
  const watched = await service.watchSession(userUuid).catch(nothingOpen);
  if (watched === null) return answerGone(res, sandboxId);
  const hasEnded = () => hasSessionEnded(call, watched);
  const offs: (() => void)[] = [];
  const onStream = () => {
    call.onStream();
    const cut = () => void res.destroy();
    offs.push(watched.onEnd(cut), stopping.on(cut));
  };
  try {
    const { session } = watched;
    await serve({ call, sandboxId, userUuid, session, isSigned, hasEnded, onStream });
  } catch (error: unknown) {
    if (!(error instanceof DomainError) || !(await hasEnded())) throw error;
    if (res.headersSent) res.destroy();
    else answerGone(res, sandboxId);
  } finally {
    for (const off of offs) off();
  }
}

/** Also reads the session, because this gateway may not have received the event of its end yet. */
async function hasSessionEnded({ service }: DoorCall, watched: WatchedSession): Promise<boolean> {
  if (watched.hasEnded) return true;
  const now = await service.session(watched.session.userUuid);
  return now?.id !== watched.session.id || now.closedAt !== null;
}

function nothingOpen(error: unknown): null {
  if (error instanceof DomainError && error.code === 'NOT_FOUND') return null;
  throw error;
}

export function answerError(res: ServerResponse, status: number, message: string): void {
  answerJson(res, status, errorAnswer({ status, message }).body);
}

/** `code` is the status, because clients compare it with numbers. */
export function errorAnswer({
  status,
  message,
  headers,
}: Pick<Refusal, 'status' | 'message' | 'headers'>): JsonAnswer {
  return { status, headers, body: { code: status, message } };
}

/**
 * The answer of E2B's proxy for a sandbox that does not exist. Clients take only this answer to mean that the sandbox
 * was killed.
 */
function answerGone(res: ServerResponse, sandboxId: string): void {
  answerJson(res, 502, { sandboxId, message: 'The sandbox was not found', code: 502 });
}

export function answerNoPort(res: ServerResponse, sandboxId: string, port: string): void {
  const message = 'The sandbox is running but port is not open';
  answerJson(res, 502, { sandboxId, message, port: Number(port), code: 502 });
}
