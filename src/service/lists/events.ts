import { EVENT_TYPES, type RecordedEvent } from '../../domain/events.ts';
import { quoted } from '../../domain/quoted.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse } from '../validate.ts';
import { type ListPage, type PageRequest, parsePosition, readBoundedPage } from './page.ts';

export interface EventFilter {
  readonly types?: readonly string[] | null | undefined;
}

/**
 * Events in the order in which they were recorded. An operator sees all of them. Everybody else sees those of their
 * tenant. Positions and cursors are then numbers among the events of the tenant, so they reveal nothing of other
 * tenants. A page ends early at MAX_RESPONSE_BYTES.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function events(
  { database, config, requireSealed }: Pick<ServiceDeps, 'database' | 'config' | 'requireSealed'>,
  { role, tenant }: Principal,
  { types }: EventFilter,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  const valid = types == null ? null : validateTypes(types);
  const { queries } = database;
  const isOperator = role === 'OPERATOR';
  if (!isOperator) await requireSealed();
  const page = await readBoundedPage(request, parsePosition, (after, limit) => {
    const bounds = { limit, maxBytes: config.maxResponseBytes };
    return isOperator
      ? queries.eventPage(valid, after ?? 0, bounds)
      : queries.tenantEventPage(tenant, valid, after ?? 0, bounds);
  });
  if (isOperator) return page;
  return {
    ...page,
    edges: page.edges.map(({ item, cursor }) => ({ item: withoutHash(item), cursor })),
  };
}

/** Leaves out the hash of a token's secret. Operators, who make tokens, see it, and verifying the chain needs it. */
function withoutHash(recorded: RecordedEvent): RecordedEvent {
  const { event } = recorded;
  if (event.type !== 'TokenCreated' && event.type !== 'TokenRotated') return recorded;
  const { secretSha256: _, ...data } = event.data;
  return { ...recorded, event: { ...event, data } as unknown as RecordedEvent['event'] };
}

/** @throws BAD_USER_INPUT for an unknown type: otherwise a misspelt name would give an empty list */
function validateTypes(types: readonly string[]): readonly string[] {
  const unknown = types.find((type) => !EVENT_TYPES.has(type));
  if (unknown === undefined) return types;
  const what = `has ${quoted(unknown)}, which is no type of event; docs/events.md names them all`;
  return refuse('types', what, {});
}
