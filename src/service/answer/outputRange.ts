import { validateNumber } from '../validate.ts';

/** Which of an execution's outputs. */
export interface OutputRange {
  /** Only those with a larger seq; 0 if it is left out. */
  readonly after?: number | null | undefined;
  /** At most so many; all if it is left out. */
  readonly first?: number | null | undefined;
}

const FROM_ZERO = { min: 0, max: null };

/** @throws BAD_USER_INPUT naming what is negative */
export function validateOutputRange({ after, first }: OutputRange): {
  readonly after: number;
  readonly limit: number | null;
} {
  return {
    after: validateNumber('after', after ?? 0, FROM_ZERO),
    limit: first == null ? null : validateNumber('first', first, FROM_ZERO),
  };
}
