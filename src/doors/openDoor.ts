/**
 * A door offers the service over another protocol, for programs that exist already. The server decides who may call,
 * and enforces the limits (`src/server/doors`). A door only translates. docs/use/doors/README.md says what holds for
 * all doors.
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
   * The prefixes of paths that the door serves, and what replaces each prefix in {@link DoorRequest.path}. For example,
   * `{ '/a': '' }` serves `/a` as the empty path, and `/a/b` as `/b`.
   */
  readonly mounts: Readonly<Record<string, string>>;
  readonly credentials: DoorCredentials;
  /** What pages of CORS_ORIGINS may send, and may read of answers. */
  readonly cors: DoorCors;
  /**
   * Makes the answer to a refused request, in the form of this protocol. A request is refused because of a missing or
   * wrong token, a foreign page, a body that is too large, or an error while it was handled.
   */
  refuse(refusal: Refusal): JsonAnswer;
  /** Called once for each request, before the request's token is checked. */
  enter(request: UnknownRequest): Entry;
  /**
   * Accepts a WebSocket, which always needs a token. Absent: the door has no WebSockets.
   * @throws DomainError. The request is then refused before the upgrade
   */
  upgrade?(request: DoorRequest): Promise<DoorUpgrade>;
}

/** How a request is handled. */
export type Entry =
  /** Anybody may get this answer. The request needs no token, or fails with any token. */
  | { readonly type: 'open'; readonly answer: (res: ServerResponse) => void }
  | {
      readonly type: 'guarded';
      /** The key or signature that replaces the token. Absent: the request needs a token. */
      readonly shown?: KeyShown;
      /** Whether the body is a file. Such a body may take any time to arrive, as long as bytes keep arriving. */
      readonly isUpload?: boolean;
      /**
       * Answers the request. If this throws a DomainError, the request is refused. Any other error is logged and
       * masked.
       */
      readonly handle: (call: DoorCall) => Promise<void>;
    };

/** Where a caller of the door may put the token. The path `/t/<token>/...` works at each door. */
export interface DoorCredentials {
  /** In order of precedence. `authorization` has the scheme `Bearer` or `token`. */
  readonly headers: readonly ('x-auth-token' | 'authorization' | 'x-api-key')[];
  /** Whether the token may also be the parameter `token` of the query. */
  readonly isInQuery: boolean;
}

interface DoorCors {
  readonly methods: string;
  readonly headers: string;
  /** Headers of answers that these pages may read, besides those that every page may read. */
  readonly exposed: string;
}

/** A request whose token has not been checked. */
export interface UnknownRequest {
  /** The server has already removed a token in the path or query from its `url`. */
  readonly req: IncomingMessage;
  readonly method: string;
  /** The path inside the door, without the query. It is not decoded: parts of it may be percent-encoded. */
  readonly path: string;
  /** Without the token. */
  readonly query: URLSearchParams;
}

/** A key to one session (`service.sessionKey`), or a signature with such a key. */
export type KeyShown =
  | {
      readonly type: 'key';
      /** Null: the request has no key. */
      readonly key: string | null;
      /** Where the key belongs, for the message to a client that sent none. */
      readonly where: string;
      /** The user of the session, if `holder` has the token from which the key is derived. */
      readonly userOf: (holder: Principal) => string;
    }
  | ({ readonly type: 'signature' } & Signed);

/** A request whose caller was authenticated. */
export interface DoorRequest extends UnknownRequest {
  readonly principal: Principal;
  readonly service: BoundService;
  /** Tells when the gateway begins to stop. A stream must end then, in the way of its protocol. */
  readonly stopping: Stopping;
}

export interface DoorCall extends DoorRequest {
  readonly res: ServerResponse;
  /**
   * Aborted when the client goes away before its answer is complete. Not aborted when this gateway cuts the connection
   * itself: because it stops, because the token ends, or because the client reads too slowly. In these cases the code
   * should go on.
   */
  readonly gone: AbortSignal;
  /** The body as UTF-8. @throws an error that the server handles, if the body is too large or the client went away */
  readBody(): Promise<string>;
  /** The body as it came. Throws like {@link readBody}. */
  readBytes(): Promise<Buffer>;
  /**
   * The body as a stream of any length. Nothing is read from the connection before the stream is read. It fails if the
   * client goes away. If the stream is destroyed, the request can still be answered.
   */
  readStream(): Readable;
  /** Frees the memory of a piece of {@link readStream} that is not needed any more. */
  free(piece: Buffer): void;
  /**
   * Answers with a file's content, or with the part that `Range` asks for.
   * @throws DomainError if the file cannot be read; any error, after the headers, if the rest of it cannot be sent
   */
  sendFile(file: { readonly userUuid: string; readonly path: string }): Promise<void>;
  /** Refuses the request, whose body may still be arriving, in the form of {@link OpenDoor.refuse}. */
  refuse(refusal: Refusal): void;
  /** From now on, a stop of the gateway does not wait for this answer. */
  onStream(): void;
}

export type Stopping = Pick<TokenEnd, 'isOver' | 'on'>;

export interface DoorUpgrade {
  /** One of the subprotocols that the client offers. Null: none. */
  readonly protocol: string | null;
  /** Takes the open socket. */
  open(socket: DoorSocket): void;
}

/** The settings that doors need, under their names in the configuration. */
export interface DoorSettings {
  readonly maxExecutionTimeoutMs: number;
  readonly maxCommandTimeoutMs: number;
  readonly workerWaitTimeoutMs: number;
  readonly longestSessionLifeMs: number;
  readonly egressAllow: readonly EgressRule[];
  /** Null: pip's own. */
  readonly pipIndexUrl: string | null;
}

/** What every door needs. */
export interface DoorDeps {
  readonly settings: DoorSettings;
  readonly logger: Logger;
  readonly newId: NewId;
  /** The id of an unexpected error, for the log entry and for the caller. Each is counted. */
  readonly newErrorId: () => string;
  readonly now: () => Date;
}

/**
 * An open WebSocket of a door. The server sends the pings. The server also closes the socket by itself: with 1012 when
 * the gateway stops, with 1008 when the token ends, with 1009 for a message above MAX_BODY_BYTES, with 1013 if the
 * client reads nothing, or if too many of its messages wait for a check of the token.
 */
export interface DoorSocket {
  /** The subprotocol. Empty: none. */
  readonly protocol: string;
  readonly isOpen: boolean;
  /** Resolves when the operating system has taken the data, or when the socket is closed. */
  send(data: string | Uint8Array): Promise<void>;
  /**
   * Resolves with true when the client has confirmed that everything sent before has arrived. Resolves with false if
   * the socket is closed first. The client's WebSocket library confirms it by itself, unseen by the client's program.
   */
  arrived(): Promise<boolean>;
  /** Called with each message, in order: text is a string, binary data a Buffer. */
  onMessage(listener: (data: string | Buffer) => void): void;
  /** `prepare` is called once, when the gateway stops. The socket is closed when it has resolved, or after a second. */
  onStop(prepare: () => Promise<void>): void;
  /** The listener is called once, when the socket is closed. */
  onClose(listener: (code: number) => void): void;
  close(code: number, reason: string): void;
}
