/** One operation that is refused for what one of its arguments is. */
import type { BadValue } from './badValues.ts';

/** What there is, for operations that need something real beside what is bad. */
export interface Known {
  readonly executionId: string;
  readonly sessionId: string;
  readonly workerId: string;
}

export interface Refusal extends BadValue {
  readonly at: string;
  readonly query: string;
  /** Of the variables, the one that is not bad. */
  readonly beside?: keyof Known;
  /** What `$value` is, made of what is bad. */
  readonly given: unknown;
}

/** A row for each bad value. */
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
