/**
 * The kinds of ids, and their parser. `src/process/newId.ts` mints ids. They are UUIDs of version 7 (RFC 9562), which
 * sort by time, so new keys go to the same few pages of an index. Only the id of a quota is computed instead
 * (`quotaIdOf`). The brand stops a worker's id from being passed where a session's is wanted.
 */
import { validate } from 'uuid';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type WorkerId = Id<'worker'>;
export type SessionId = Id<'session'>;
export type ExecutionId = Id<'execution'>;
export type ContextId = Id<'context'>;
export type FileChangeId = Id<'fileChange'>;
export type PoolId = Id<'pool'>;
export type GatewayId = Id<'gateway'>;
export type EventId = Id<'event'>;
export type TokenId = Id<'token'>;
export type NotebookId = Id<'notebook'>;
export type QuotaId = Id<'quota'>;
export type RemovalId = Id<'removal'>;
/** Of one version of an environment. */
export type EnvironmentId = Id<'environment'>;

export type AnyId =
  | WorkerId
  | SessionId
  | ExecutionId
  | ContextId
  | FileChangeId
  | PoolId
  | GatewayId
  | EventId
  | TokenId
  | NotebookId
  | QuotaId
  | RemovalId
  | EnvironmentId;

/** Mints a fresh id. It is injected wherever ids are made, so that tests can choose them. */
export type NewId = <T extends AnyId>() => T;

/** `text` as an id, in lower case. Null if it is not a UUID and so cannot name anything. */
export function parseId<T extends AnyId>(text: string): T | null {
  return validate(text) ? (text.toLowerCase() as T) : null;
}
