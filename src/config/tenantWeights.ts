import { isPlainName } from '../domain/text.ts';

const MAX_WEIGHT = 1_000;

/** The weights in a text such as `a=2,b=1`, by tenant. Undefined if the text is not allowed, or names one twice. */
export function parseWeights(given: string): ReadonlyMap<string, number> | undefined {
  const weights = new Map<string, number>();
  for (const pair of given.split(',')) {
    const [tenant = '', number = '', ...rest] = pair.trim().split('=');
    const weight = /^\d{1,4}$/.test(number) ? Number(number) : 0;
    const isAllowed =
      isPlainName(tenant) && rest.length === 0 && weight >= 1 && weight <= MAX_WEIGHT;
    if (!isAllowed || weights.has(tenant)) return undefined;
    weights.set(tenant, weight);
  }
  return weights;
}
