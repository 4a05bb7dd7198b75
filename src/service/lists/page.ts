/** One page of a list: its size, the cursor before it, and whether another page follows. */
import { parseId, type SessionId, type WorkerId } from '../../domain/ids.ts';
import { quoted } from '../../domain/text.ts';
import type { BoundedPage, Edge } from '../../events/queries/listQueries.ts';
import { refuse, validateNumber } from '../validate.ts';

export interface PageRequest {
  /** The most items that the page may have. 100 by default. */
  readonly first?: number | null | undefined;
  /** The cursor after which the page begins. */
  readonly after?: string | null | undefined;
}

export interface ListPage<T> {
  readonly edges: readonly Edge<T>[];
  readonly hasNextPage: boolean;
}

/** Limits one read, and one list in an answer. */
export const MAX_PAGE_SIZE = 1_000;
export const DEFAULT_PAGE_SIZE = 100;

/** @throws BAD_USER_INPUT for a size out of range, or for a cursor that is not of this kind of list */
export async function readPage<T, C>(
  request: PageRequest,
  parse: (cursor: string) => C | null | Promise<C | null>,
  read: (cursor: C | null, limit: number) => Promise<Edge<T>[]>,
): Promise<ListPage<T>> {
  return await readBoundedPage(request, parse, async (cursor, limit) => ({
    edges: await read(cursor, limit),
    isCut: false,
  }));
}

/**
 * The same for a list that is also limited in bytes. If that limit ended the page, there is a next page, too.
 * @throws BAD_USER_INPUT
 */
export async function readBoundedPage<T, C>(
  { first, after }: PageRequest,
  parse: (cursor: string) => C | null | Promise<C | null>,
  read: (cursor: C | null, limit: number) => Promise<BoundedPage<T>>,
): Promise<ListPage<T>> {
  const size = validateNumber('first', first ?? DEFAULT_PAGE_SIZE, { min: 1, max: MAX_PAGE_SIZE });
  const cursor = after == null ? null : await parse(after);
  if (after != null && cursor === null) {
    refuse('after', `must be a cursor of an earlier page, not ${quoted(after)}`, {});
  }
  // One more item is read than requested, to find out whether there is a next page.
  const { edges, isCut } = await read(cursor, size + 1);
  return { edges: edges.slice(0, size), hasNextPage: isCut || edges.length > size };
}

/** Parses the cursor of a list that is ordered by a number. */
export function parsePosition(cursor: string): number | null {
  return /^\d{1,15}$/.test(cursor) ? Number(cursor) : null;
}

/** Parses the cursor of a list that is ordered by id. */
export function parseIdCursor(cursor: string): SessionId | WorkerId | null {
  return parseId<SessionId>(cursor);
}
