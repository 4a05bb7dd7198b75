import type { ExecutionId } from '../../domain/ids.ts';
import { contentOfPiece, type InputPiece } from '../../domain/input.ts';
import type { InputRequest } from '../../domain/output.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from '../store/jsonText.ts';
import { firstOrNull } from './rows.ts';

/** The most pieces that one query reads. Each call of `sendInput` has made one, so there may be one for each keystroke. */
const MAX_PIECES = 16;

/** A piece of input with its content, if that is still there. */
export interface ReadInput {
  /** The version of its event in the stream of the execution. */
  readonly version: number;
  readonly offset: number;
  readonly length: number;
  /** Null: it was secret, and its execution has ended. */
  readonly bytes: Buffer | null;
}

/** Bytes of an execution's input, from offset `start` to before offset `end`. */
export interface InputRange {
  readonly start: number;
  readonly end: number;
}

interface InputRow {
  readonly version: number;
  readonly data: unknown;
  readonly base64: string | null;
}

export function createInputQueries({ sql, answered }: Client) {
  return {
    /**
     * The first pieces of an execution's input that have bytes in `range`, in order and without holes. Empty if there
     * are none. A piece has at most 64 KiB, so they have at most 128 KiB outside of the range.
     * @param from the version from which to look; all bytes of the range are in events of this version or later ones
     */
    inputIn: async (id: ExecutionId, range: InputRange, from: number): Promise<ReadInput[]> => {
      const rows = await answered(sql<InputRow[]>`
        SELECT e.version, e.data, i.base64
        FROM events e LEFT JOIN execution_inputs i
          ON i.execution_id = ${id} AND i.input_offset = (e.data ->> 'offset')::bigint
            AND (e.data ->> 'bytes')::bigint > 0
        WHERE e.stream_id = ${`execution-${id}`} AND e.version >= ${from} AND e.type = 'InputSent'
          AND (e.data ->> 'offset')::bigint < ${range.end}
          AND (e.data ->> 'offset')::bigint + (e.data ->> 'bytes')::bigint > ${range.start}
        ORDER BY e.version LIMIT ${MAX_PIECES}`);
      return rows.map(toInput);
    },

    /** The newest request for input that the execution has made. Null: none yet. */
    newestInputRequest: async (id: ExecutionId): Promise<InputRequest | null> => {
      const rows = await answered(sql<{ body: InputRequest }[]>`
        SELECT body FROM output_events WHERE execution_id = ${id} AND kind = 'input'
        ORDER BY seq DESC LIMIT 1`);
      return firstOrNull(rows)?.body ?? null;
    },
  };
}

function toInput({ version, data, base64 }: InputRow): ReadInput {
  const piece = decodeJson(data) as InputPiece;
  const bytes = base64 === null ? contentOfPiece(piece) : Buffer.from(base64, 'base64');
  return { version, offset: piece.offset, length: piece.bytes, bytes };
}
