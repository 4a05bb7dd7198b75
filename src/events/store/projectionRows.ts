import { STREAM_KINDS, type StreamKind } from '../../domain/entities.ts';
import { changeJson, newRowJson } from '../projections/projectionJson.ts';
import { PROJECTIONS } from '../projections/projections.ts';
import { jsonArray } from './jsonArray.ts';
import type { PreparedCommit } from './preparedCommit.ts';

type Rows = Map<StreamKind, string[]>;

/**
 * Three sets of rows: changed rows, new rows, and new rows that contain the position of an event. Each set is a list of
 * kinds and a text with a line of JSON for each kind, or two nulls if the set is empty. Kinds always have the same
 * order, so that groups of several gateways lock rows in the same order.
 */
export function projectionRows(group: readonly PreparedCommit[]): (StreamKind[] | string | null)[] {
  const changed: Rows = new Map();
  const added: Rows = new Map();
  const placed: Rows = new Map();
  let position = 1;
  for (const { commit, states } of group) {
    for (const [index, { stream, state, events }] of commit.streams.entries()) {
      const after = states[index];
      if (after && events.length > 0) {
        if (state !== null) push(changed, stream, changeJson(stream, state, after));
        else {
          const isPlaced = PROJECTIONS[stream].firstPosition !== null;
          push(isPlaced ? placed : added, stream, newRowJson(stream, after, position));
        }
      }
      position += events.length;
    }
  }
  return [changed, added, placed].flatMap(byKind);
}

function push(rows: Rows, kind: StreamKind, row: string): void {
  const others = rows.get(kind);
  if (others) others.push(row);
  else rows.set(kind, [row]);
}

function byKind(rows: Rows): [StreamKind[], string] | [null, null] {
  const kinds = STREAM_KINDS.filter((kind) => rows.has(kind));
  if (kinds.length === 0) return [null, null];
  return [kinds, kinds.map((kind) => jsonArray(rows.get(kind) ?? [])).join('\n')];
}
