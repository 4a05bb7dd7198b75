/** The query of a request for a list of sandboxes. */
import type { SessionFilter } from '../../../service/lists/lists.ts';
import { refuse } from './body.ts';
import { environmentOf } from './template.ts';

const STATES = ['running', 'paused'];

export interface ListQuery {
  /** Nothing is ever paused, so a list of paused sandboxes is empty. */
  readonly isOfRunning: boolean;
  readonly filter: Omit<SessionFilter, 'tenant' | 'users' | 'userUuid' | 'isOpen'>;
  readonly page: { readonly first: number | null; readonly after: string | null };
}

/** @throws BAD_USER_INPUT */
export function readListQuery(query: URLSearchParams): ListQuery {
  const template = textIn(query, 'template');
  return {
    isOfRunning: isOfRunning(query),
    filter: {
      metadata: metadataIn(query.get('metadata') ?? ''),
      from: timeIn(query, 'startedAfter'),
      environment: template === null ? null : { name: environmentOf(template) },
      oldestFirst: isAscending(textIn(query, 'order')),
    },
    page: { first: numberIn(query, 'limit'), after: textIn(query, 'nextToken') },
  };
}

/**
 * A form of its own inside the query, in which SDKs encode each key and each value once more.
 * @throws BAD_USER_INPUT
 */
export function metadataIn(text: string): Readonly<Record<string, string>> {
  const pairs = [...new URLSearchParams(text)].map((pair) => pair.map(decoded));
  return Object.fromEntries(pairs);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('metadata must have keys and values that are percent-encoded UTF-8.');
  }
}

/** Several states are separated by commas. Clients of former days repeat the parameter. */
function isOfRunning(query: URLSearchParams): boolean {
  const states = query.getAll('state').flatMap((each) => each.split(',').filter((one) => one));
  if (states.some((state) => !STATES.includes(state)))
    refuse(`state must be one or both of ${STATES.join(' and ')}.`);
  return states.length === 0 || states.includes('running');
}

function isAscending(order: string | null): boolean {
  if (order !== null && order !== 'asc' && order !== 'desc') refuse('order must be asc or desc.');
  return order === 'asc';
}

function timeIn(query: URLSearchParams, name: string): Date | null {
  const text = textIn(query, name);
  if (text === null) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? refuse(`${name} must be a date and time.`) : time;
}

function numberIn(query: URLSearchParams, name: string): number | null {
  const text = textIn(query, name);
  if (text === null) return null;
  return /^\d{1,9}$/.test(text) ? Number(text) : refuse(`${name} must be a whole number.`);
}

function textIn(query: URLSearchParams, name: string): string | null {
  return query.get(name) || null;
}
