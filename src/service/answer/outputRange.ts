import { validateNumber } from '../validate.ts';

/** Selects some of an execution's outputs. */
export interface OutputRange {
  /** Only outputs with a larger seq. 0 by default. */
  readonly after?: number | null | undefined;
  /** At most this number of outputs. All by default. */
  readonly first?: number | null | undefined;
}

/** No execution has as many outputs. PostgreSQL's `integer` holds no larger number. */
const MAX_SEQ = 2 ** 31 - 1;
const FROM_ZERO = { min: 0, max: MAX_SEQ };

/** @throws BAD_USER_INPUT, with the field that is negative or too large */
export function validateOutputRange({ after, first }: OutputRange): {
  readonly after: number;
  readonly limit: number | null;
} {
  return {
    after: validateNumber('after', after ?? 0, FROM_ZERO),
    limit: first == null ? null : validateNumber('first', first, FROM_ZERO),
  };
}
