/** One operation that is refused because of one of its arguments. */
import type { BadValue } from './badValues.ts';

/** Ids that exist, for operations that need a valid argument beside the bad one. */
export interface Known {
  readonly executionId: string;
  readonly sessionId: string;
  readonly workerId: string;
}

export interface Refusal extends BadValue {
  readonly at: string;
  readonly query: string;
  /** The name of the id that is passed as `$known`. */
  readonly beside?: keyof Known;
  /** The value of `$value`, which contains the bad value. */
  readonly given: unknown;
}

/** Makes a row for each bad value. */
export function rows(
  at: string,
  query: string,
  bad: readonly BadValue[],
  more: Pick<Refusal, 'beside'> & { readonly given?: (value: unknown) => unknown } = {},
): Refusal[] {
  const { beside, given = (value: unknown) => value } = more;
  return bad.map((each) => ({
    ...each,
    at,
    query,
    given: given(each.value),
    ...(beside && { beside }),
  }));
}
