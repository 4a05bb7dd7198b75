import { EVENT_TYPES, type RecordedEvent } from '../../domain/events.ts';
import { quoted } from '../../domain/quoted.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse } from '../validate.ts';
import { type ListPage, type PageRequest, parsePosition, readBoundedPage } from './page.ts';

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
  const what = `has ${quoted(unknown)}, which is no type of event; docs/events.md names them all`;
  return refuse('types', what, {});
}
