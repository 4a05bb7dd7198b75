/** What a check of doctor has found, in the words of the table of troubles. */
import { within } from '../async/within.ts';
import { messageOf } from '../domain/errors.ts';
import { type CheckId, type TroubleId, troubleOf } from './troubles.ts';

/** `unknown`: it could not be checked, and `found` says why. */
export type State = 'ok' | 'warning' | 'failure' | 'unknown';

export interface Finding {
  readonly check: CheckId;
  readonly state: State;
  readonly found: string;
  /** The row of the table. Null unless the state is `warning` or `failure`. */
  readonly trouble: TroubleId | null;
}

export function ok(check: CheckId, found: string): Finding {
  return { check, state: 'ok', found, trouble: null };
}

export function unknown(check: CheckId, found: string): Finding {
  return { check, state: 'unknown', found, trouble: null };
}

/** The finding with the row's first message, in which `parts` replace each `…`. */
export function failure(id: TroubleId, ...parts: readonly (string | number)[]): Finding {
  return found('failure', id, filled(id, parts));
}

export function warning(id: TroubleId, ...parts: readonly (string | number)[]): Finding {
  return found('warning', id, filled(id, parts));
}

/** The finding with a message of the program that belongs to this row. */
export function failureSaying(id: TroubleId, message: string): Finding {
  return found('failure', id, message);
}

function found(state: State, trouble: TroubleId, message: string): Finding {
  const { check } = troubleOf(trouble);
  if (check === undefined) throw new Error(`No check finds ${trouble}.`);
  return { check, state, found: message, trouble };
}

function filled(id: TroubleId, parts: readonly (string | number)[]): string {
  const [first = ''] = troubleOf(id).messages;
  const [start, ...others] = first.split('…');
  if (others.length !== parts.length)
    throw new Error(`The message of ${id} has ${others.length} parts, not ${parts.length}.`);
  return [start, ...others.flatMap((after, at) => [String(parts[at]), after])].join('');
}

/** The findings of `work`. If it fails or takes longer than `limitMs`, each of `checks` has failed. */
export async function limited(
  checks: readonly CheckId[],
  limitMs: number,
  work: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const all = (trouble: TroubleId, part: string | number) =>
    checks.map((check) => ({
      ...({ check, state: 'failure', trouble } as const),
      found: filled(trouble, [part]),
    }));
  try {
    return await within(limitMs, work(), () => all('doctorLate', limitMs / 1_000));
  } catch (error: unknown) {
    return all('doctorFailed', messageOf(error));
  }
}

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** `3.2 GiB`, `70 MiB`. */
export function sizeOf(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.floor(bytes / MIB)} MiB`;
}
