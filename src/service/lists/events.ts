import { DomainError } from '../../domain/errors.ts';
import { EVENT_TYPES, type RecordedEvent } from '../../domain/events.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ListPage, type PageRequest, parsePosition, readBoundedPage } from './page.ts';

/** An error quotes what it refuses, but not at any length. */
const MAX_QUOTED_CHARS = 200;

export interface EventFilter {
  readonly types?: readonly string[] | null | undefined;
}

/** Events in the order in which they were recorded. A page ends early at MAX_RESPONSE_BYTES. @throws BAD_USER_INPUT */
export async function events(
  { database, config }: Pick<ServiceDeps, 'database' | 'config'>,
  _principal: Principal,
  { types }: EventFilter,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  const valid = types == null ? null : validateTypes(types);
  return await readBoundedPage(request, parsePosition, (after, limit) =>
    database.queries.eventPage(valid, after ?? 0, { limit, maxBytes: config.maxResponseBytes }),
  );
}

/** @throws BAD_USER_INPUT for an unknown type: otherwise a misspelt name would give an empty list */
function validateTypes(types: readonly string[]): readonly string[] {
  const unknown = types.find((type) => !EVENT_TYPES.has(type));
  if (unknown === undefined) return types;
  throw new DomainError(
    'BAD_USER_INPUT',
    `types contains ${JSON.stringify(unknown.slice(0, MAX_QUOTED_CHARS))}, which is not an event type. docs/events.md lists all event types.`,
    { field: 'types' },
  );
}
