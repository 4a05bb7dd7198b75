/**
 * What a door is: another wire onto the service, for programs that exist. The server decides who comes in, and keeps the
 * limits (`src/server/doors`). A door only translates. docs/use/doors/README.md says what holds for all of them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { EgressRule } from '../domain/egress.ts';
import type { NewId } from '../domain/ids.ts';
import type { ServedDoor } from '../domain/token.ts';
import type { Signed } from '../service/access/sessionKeys.ts';
import type { TokenEnd } from '../service/access/tokenEnd.ts';
import type { Principal } from '../service/principal.ts';
import type { Refusal } from '../service/refusal.ts';
import type { BoundService } from '../service/service.ts';
import type { JsonAnswer } from './shared/jsonAnswer.ts';

/** A door that is on. */
export interface OpenDoor {
  readonly name: ServedDoor;
  /**
   * What it serves: a prefix of paths, and what stands for it in {@link DoorRequest.path}. `{ '/a': '' }` serves `/a` as
   * the empty path, and `/a/b` as `/b`.
   */
  readonly mounts: Readonly<Record<string, string>>;
  readonly credentials: DoorCredentials;
  /** What pages of CORS_ORIGINS may send, and may read of answers. */
  readonly cors: DoorCors;
  /**
   * The form that a refusal has on this wire: no token, a foreign page, a body that is too large, an error that was
   * thrown while the request was handled.
   */
  refuse(refusal: Refusal): JsonAnswer;
  /** Called once for each request, before anybody looks at who calls. */
  enter(request: UnknownRequest): Entry;
  /** Absent: the door has no WebSockets, which need a token. @throws DomainError, which is refused before the upgrade */
  upgrade?(request: DoorRequest): Promise<DoorUpgrade>;
}

/** What a request is for, and who may make it. */
export type Entry =
  /** Anybody: nothing can be there, or no token would help. */
  | { readonly type: 'open'; readonly answer: (res: ServerResponse) => void }
  | {
      readonly type: 'guarded';
      /** What the request shows instead of a token. Absent: a token. */
      readonly shown?: KeyShown;
      /** Whether the body is a file: it may take any time to arrive, as long as something moves. */
      readonly isUpload?: boolean;
      /** Answers the request. A DomainError is refused. Any other error is logged and masked. */
      readonly handle: (call: DoorCall) => Promise<void>;
    };

/** Where a caller of the door may put the token. The path `/t/<token>/...` works at each door. */
export interface DoorCredentials {
  /** In this order. `authorization` has the scheme `Bearer` or `token`. */
  readonly headers: readonly ('x-auth-token' | 'authorization' | 'x-api-key')[];
  /** Whether it may be the parameter `token` of the query, too. */
  readonly isInQuery: boolean;
}

interface DoorCors {
  readonly methods: string;
  readonly headers: string;
  /** Headers of answers beside those that every page may read. */
  readonly exposed: string;
}

/** A request whose token nobody has looked at. */
export interface UnknownRequest {
  /** Its `url` has no token: one in the path or the query was taken out before. */
  readonly req: IncomingMessage;
  readonly method: string;
  /** Inside the door, without query. It is as it was sent, so parts of it may be percent-encoded. */
  readonly path: string;
  /** Without the token. */
  readonly query: URLSearchParams;
}

/** A key to one session (`service.sessionKey`), or something that only a holder of the key can have made. */
export type KeyShown =
  | {
      readonly type: 'key';
      /** Null: it is missing. */
      readonly key: string | null;
      /** Where it may be, for those who have put it elsewhere. */
      readonly where: string;
      /** The user whose session is meant, to the holder of the token that the key derives from. */
      readonly userOf: (holder: Principal) => string;
    }
  | ({ readonly type: 'signature' } & Signed);

/** A request of a caller who may come in. */
export interface DoorRequest extends UnknownRequest {
  readonly principal: Principal;
  readonly service: BoundService;
  /** The gateway begins to stop: a stream ends now, in the way that its wire has for this. */
  readonly stopping: Stopping;
}

export interface DoorCall extends DoorRequest {
  readonly res: ServerResponse;
  /**
   * Aborted when the client goes away before its answer is complete. It is not when the gateway stops, nor when the
   * token ends, nor for a client that reads too slowly, although all of these cut the connection: nobody wants the code to
   * end then.
   */
  readonly gone: AbortSignal;
  /** The body as UTF-8. @throws an error that the server refuses: it is too large, or the client went away */
  readBody(): Promise<string>;
  /** The body as it came. Throws like {@link readBody}. */
  readBytes(): Promise<Buffer>;
  /**
   * The body as a stream of any length, of which nothing is asked for before it is read. It fails if the client goes away.
   * Destroying it leaves the request alone, so that it can still be answered.
   */
  readStream(): Readable;
  /** Frees the memory of a piece of {@link readStream} that nobody looks at any more. */
  free(piece: Buffer): void;
  /**
   * Answers with a file's content, or with the part that `Range` asks for.
   * @throws a DomainError, if there is nothing to answer with; after the headers, if the rest cannot be read
   */
  sendFile(file: { readonly userUuid: string; readonly path: string }): Promise<void>;
  /** Refuses the request, whose body may still be arriving, in the form of {@link OpenDoor.refuse}. */
  refuse(refusal: Refusal): void;
  /** From now on a stop does not wait for this answer. */
  onStream(): void;
}

export type Stopping = Pick<TokenEnd, 'isOver' | 'on'>;

export interface DoorUpgrade {
  /** One of those that the client offers. Null: none. */
  readonly protocol: string | null;
  /** Takes the open socket. */
  open(socket: DoorSocket): void;
}

/** The settings that doors need, by their fields of the configuration. */
export interface DoorSettings {
  readonly executionTimeoutMs: number;
  readonly maxExecutionTimeoutMs: number;
  readonly maxCommandTimeoutMs: number;
  readonly workerWaitTimeoutMs: number;
  readonly longestSessionLifeMs: number;
  readonly egressAllow: readonly EgressRule[];
  /** Null: pip's own. */
  readonly pipIndexUrl: string | null;
}

/** What doors are made of. */
export interface DoorDeps {
  readonly settings: DoorSettings;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly now: () => Date;
}

/**
 * An open WebSocket of a door. The server sends the pings, and closes it by itself: with 1012 when the gateway stops, with
 * 1008 when the token ends, with 1009 for a message above MAX_BODY_BYTES, with 1013 if the client reads nothing.
 */
export interface DoorSocket {
  /** The subprotocol. Empty: none. */
  readonly protocol: string;
  readonly isOpen: boolean;
  /** Resolves when the operating system has taken the data, or never will: then the socket is closed. */
  send(data: string | Uint8Array): Promise<void>;
  /**
   * Resolves with true when the client has answered that everything sent before has arrived at it; with false, when the
   * socket is closed first. It is the client's WebSocket that answers: programs see nothing of it.
   */
  arrived(): Promise<boolean>;
  /** Called with each message, in order: text is a string, binary data a Buffer. */
  onMessage(listener: (data: string | Buffer) => void): void;
  /** Called once, when the gateway stops. It is waited for, for a second at most, before the socket is closed. */
  onStop(prepare: () => Promise<void>): void;
  /** Called once, when it is closed. */
  onClose(listener: (code: number) => void): void;
  close(code: number, reason: string): void;
}
