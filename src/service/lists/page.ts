/** One page of a list: how many, after what, and whether there is more. */
import { parseId, type SessionId, type WorkerId } from '../../domain/ids.ts';
import { quoted } from '../../domain/quoted.ts';
import type { BoundedPage, Placed } from '../../events/queries/listQueries.ts';
import { refuse, validateNumber } from '../validate.ts';

export interface PageRequest {
  /** How many at most; 100 if it is left out. */
  readonly first?: number | null | undefined;
  /** The cursor after which the page begins. */
  readonly after?: string | null | undefined;
}

export interface ListPage<T> {
  readonly edges: readonly Placed<T>[];
  readonly hasNextPage: boolean;
}

/** A bound on one read, and on one answer. */
const MAX_PAGE_SIZE = 1_000;
const DEFAULT_PAGE_SIZE = 100;

/** @throws BAD_USER_INPUT for a size out of range, or what is no cursor of this list */
export async function readPage<T, C>(
  request: PageRequest,
  parse: (cursor: string) => C | null,
  read: (cursor: C | null, limit: number) => Promise<Placed<T>[]>,
): Promise<ListPage<T>> {
  return await readBoundedPage(request, parse, async (cursor, limit) => ({
    edges: await read(cursor, limit),
    isCut: false,
  }));
}

/** The same of what is bounded in bytes too: there is a next page as well when they were used up. @throws BAD_USER_INPUT */
export async function readBoundedPage<T, C>(
  { first, after }: PageRequest,
  parse: (cursor: string) => C | null,
  read: (cursor: C | null, limit: number) => Promise<BoundedPage<T>>,
): Promise<ListPage<T>> {
  const size = validateNumber('first', first ?? DEFAULT_PAGE_SIZE, { min: 1, max: MAX_PAGE_SIZE });
  const cursor = after == null ? null : parse(after);
  if (after != null && cursor === null) {
    refuse('after', `must be a cursor of an earlier page, not ${quoted(after)}`, {});
  }
  // One more than asked for tells whether there is a next page.
  const { edges, isCut } = await read(cursor, size + 1);
  return { edges: edges.slice(0, size), hasNextPage: isCut || edges.length > size };
}

/** Cursors of what is ordered by a number. */
export function parsePosition(cursor: string): number | null {
  return /^\d{1,15}$/.test(cursor) ? Number(cursor) : null;
}

/** Cursors of what is ordered by its id. */
export function parseIdCursor(cursor: string): SessionId | WorkerId | null {
  return parseId<SessionId>(cursor);
}
