/**
 * The one place where ids are minted and parsed. All are UUIDs (v7, RFC 9562: they sort by time, which keeps index
 * pages warm); the brand keeps a worker's from being passed where a session's is wanted.
 */
import { v7, validate } from 'uuid';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type WorkerId = Id<'worker'>;
export type SessionId = Id<'session'>;
export type ExecutionId = Id<'execution'>;
export type PoolId = Id<'pool'>;
export type GatewayId = Id<'gateway'>;
export type EventId = Id<'event'>;

type AnyId = WorkerId | SessionId | ExecutionId | PoolId | GatewayId | EventId;

/** Mints a fresh id. Injected wherever ids are made, so that tests can name them. */
export type NewId = <T extends AnyId>() => T;

/** The production {@link NewId}. */
export const newId: NewId = <T extends AnyId>() => v7() as T;

/** The id in `text` (lower-cased), or null when it is no UUID: such an id names nothing. */
export function parseId<T extends AnyId>(text: string): T | null {
  return validate(text) ? (text.toLowerCase() as T) : null;
}
