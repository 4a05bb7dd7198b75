/**
 * The one-dimensional array types that this project's parameters and rows use. By default, postgres.js fetches array
 * types from the server on each new connection. If the connection is lost during that query, the rejection is unhandled
 * and ends the whole process (`fetchArrayTypes` in its connection.js is not awaited). So the types are given here, and
 * fetching is off (`fetch_types: false`).
 */
import type postgres from 'postgres';

type Item = string | number | null;

/** Object ids of PostgreSQL's catalogue, which never change. */
const STRINGS = { texts: 1009, uuids: 2951, times: 1185 } as const;
const NUMBERS = { integers: 1007, bigints: 1016 } as const;

export const arrayTypes = {
  ...typesOf(STRINGS, (text) => text),
  // Positions, bytes and sequence numbers, all far below 2^53.
  ...typesOf(NUMBERS, Number),
};

function typesOf<Name extends string>(
  oids: Readonly<Record<Name, number>>,
  itemOf: (text: string) => Item,
): Record<Name, postgres.PostgresType<Item[]>> {
  const parse = (literal: string) => parseArray(literal, itemOf);
  const types = Object.entries<number>(oids).map(([name, oid]) => [
    name,
    { to: oid, from: [oid], serialize: serializeArray, parse },
  ]);
  return Object.fromEntries(types);
}

/** The items as an array literal of PostgreSQL. */
function serializeArray(items: readonly Item[]): string {
  const quoted = items.map((item) =>
    item === null ? 'NULL' : `"${String(item).replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${quoted.join(',')}}`;
}

function parseArray(literal: string, itemOf: (text: string) => Item): Item[] {
  const items = literal.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs);
  return [...items].map(([, quoted, bare]) => {
    if (quoted !== undefined) return itemOf(quoted.replace(/\\(.)/gs, '$1'));
    return bare === 'NULL' || bare === undefined ? null : itemOf(bare);
  });
}
