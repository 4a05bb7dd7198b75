/**
 * The kinds of ids, and where they are parsed; `process/newId.ts` mints them. All are UUIDs (v7, RFC 9562: they sort by time, which keeps index
 * pages warm); the brand keeps a worker's from being passed where a session's is wanted.
 */
import { validate } from 'uuid';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

export type WorkerId = Id<'worker'>;
export type SessionId = Id<'session'>;
export type ExecutionId = Id<'execution'>;
export type PoolId = Id<'pool'>;
export type GatewayId = Id<'gateway'>;
export type EventId = Id<'event'>;

export type AnyId = WorkerId | SessionId | ExecutionId | PoolId | GatewayId | EventId;

/** Mints a fresh id. Injected wherever ids are made, so that tests can name them. */
export type NewId = <T extends AnyId>() => T;

/** The id in `text` (lower-cased), or null when it is no UUID: such an id names nothing. */
export function parseId<T extends AnyId>(text: string): T | null {
  return validate(text) ? (text.toLowerCase() as T) : null;
}
