import { type EntityState, STREAM_KINDS, type StreamKind } from '../../domain/entities.ts';
import { PROJECTIONS } from './projections.ts';

/** For each kind: the keys of its state, each with its column's name as JSON text (`"name":`). */
const KEYS = new Map<StreamKind, ReadonlyMap<string, string>>(
  STREAM_KINDS.map((kind) => [
    kind,
    new Map([...PROJECTIONS[kind].columns].map(([key, name]) => [key, `"${name}":`])),
  ]),
);

/**
 * A whole row of a projection, as JSON. `position` goes into the column for the position of the first event, if it has
 * one.
 */
export function rowJson(kind: StreamKind, state: EntityState, position: number): string {
  return row(kind, state, position, {});
}

/** A new row without the columns that get their value by default, in the form that `cellhouse_add_rows` takes. */
export function newRowJson(kind: StreamKind, state: EntityState, position: number): string {
  return row(kind, state, position, PROJECTIONS[kind].defaults);
}

function row(
  kind: StreamKind,
  state: EntityState,
  position: number,
  defaults: Readonly<Record<string, unknown>>,
): string {
  const { firstPosition } = PROJECTIONS[kind];
  const columns = columnsOf(kind, state, defaults);
  return `{${firstPosition === null ? '' : `"${firstPosition}":${position},`}${columns}}`;
}

/** The changes of a row, in the form that `cellhouse_change_rows` takes. */
export function changeJson(kind: StreamKind, before: EntityState, after: EntityState): string {
  const { id, version } = before;
  return `{"id":"${id}","expected_version":${version},"changes":{${columnsOf(kind, after, before)}}}`;
}

/**
 * The columns whose values differ from `before`. Values that `evolve` did not change are identical (`===`). The JSON is
 * built as text: to build an object key by key and stringify it takes three times as long.
 */
function columnsOf(
  kind: StreamKind,
  after: EntityState,
  before: Partial<EntityState> | Readonly<Record<string, unknown>>,
): string {
  const was: Readonly<Record<string, unknown>> = before;
  const keys = KEYS.get(kind);
  let text = '';
  for (const [key, value] of Object.entries(after)) {
    if (value === was[key] || value === undefined) continue;
    const column = keys?.get(key);
    if (column === undefined) continue;
    text += `${text === '' ? '' : ','}${column}${JSON.stringify(value)}`;
  }
  return text;
}
