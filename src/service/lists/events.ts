import { DomainError } from '../../domain/errors.ts';
import { EVENT_TYPES, type RecordedEvent } from '../../domain/events.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ListPage, type PageRequest, parsePosition, readBoundedPage } from './page.ts';

/** An error names what it refuses, and is no echo of a whole body. */
const MAX_QUOTED_CHARS = 200;

export interface EventFilter {
  readonly types?: readonly string[] | null | undefined;
}

/** In the order in which they were recorded. A page ends early at MAX_RESPONSE_BYTES. @throws BAD_USER_INPUT */
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

/** @throws BAD_USER_INPUT: a name that is misspelt would look like a past in which nothing happened */
function validateTypes(types: readonly string[]): readonly string[] {
  const unknown = types.find((type) => !EVENT_TYPES.has(type));
  if (unknown === undefined) return types;
  throw new DomainError(
    'BAD_USER_INPUT',
    `types has ${JSON.stringify(unknown.slice(0, MAX_QUOTED_CHARS))}, which is no type of event; docs/events.md names them all.`,
    { field: 'types' },
  );
}
