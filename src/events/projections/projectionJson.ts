import { type EntityState, STREAM_KINDS, type StreamKind } from '../../domain/entities.ts';
import { PROJECTIONS } from './projections.ts';

/** For each kind, and each key of its state, the column as a key of JSON. */
const KEYS = new Map<StreamKind, ReadonlyMap<string, string>>(
  STREAM_KINDS.map((kind) => [
    kind,
    new Map([...PROJECTIONS[kind].columns].map(([key, name]) => [key, `"${name}":`])),
  ]),
);

/** A new row of a projection as JSON; `position` for the column that holds the one of its first event, if there is one. */
export function rowJson(kind: StreamKind, state: EntityState, position: number): string {
  const { firstPosition } = PROJECTIONS[kind];
  const columns = columnsOf(kind, state, {});
  return `{${firstPosition === null ? '' : `"${firstPosition}":${position},`}${columns}}`;
}

/** What changed in a row, as `cellhouse_change_rows` takes it. */
export function changeJson(kind: StreamKind, before: EntityState, after: EntityState): string {
  const { id, version } = before;
  return `{"id":"${id}","expected_version":${version},"changes":{${columnsOf(kind, after, before)}}}`;
}

/**
 * The columns whose values are not those of `before`. What `evolve` leaves as it was is the very same value. Text is put together, for
 * an object that is made key by key is slow to make and slower to stringify: three times as slow.
 */
function columnsOf(kind: StreamKind, after: EntityState, before: Partial<EntityState>): string {
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
