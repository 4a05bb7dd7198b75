import { DomainError } from '../../domain/errors.ts';

/** Selects some of an execution's outputs. */
export interface OutputRange {
  /** Only outputs with a larger seq. 0 by default. */
  readonly after?: number | null | undefined;
  /** At most this number of outputs. All by default. */
  readonly first?: number | null | undefined;
}

/** @throws BAD_USER_INPUT if `after` or `first` is negative */
export function validateOutputRange({ after, first }: OutputRange): {
  readonly after: number;
  readonly limit: number | null;
} {
  return {
    after: atLeastZero('after', after ?? 0),
    limit: first == null ? null : atLeastZero('first', first),
  };
}

function atLeastZero(field: string, value: number): number {
  if (value >= 0) return value;
  throw new DomainError('BAD_USER_INPUT', `\`${field}\` is ${value}, but must be at least 0.`, {
    field,
    min: 0,
  });
}
