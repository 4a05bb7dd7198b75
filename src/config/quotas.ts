/** How much each tenant, and each user of it, may use. */
import {
  type Limits,
  MAX_QUOTA,
  QUOTA_KINDS,
  QUOTA_SCOPES,
  QUOTA_WORDS,
  type QuotaKind,
  type QuotaScope,
} from '../domain/quota.ts';
import { optionalInteger, type Setting } from './setting.ts';

const WHOSE: Readonly<Record<QuotaScope, string>> = {
  TENANT: 'A tenant may have this many',
  USER: 'One user of a tenant may have this many',
};

type QuotaField = `quota${Capitalized<QuotaScope>}${Capitalized<QuotaKind>}`;

/** `OPEN_SESSIONS` as `OpenSessions`. */
type Capitalized<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${Capitalize<Lowercase<First>>}${Capitalized<Rest>}`
  : Capitalize<Lowercase<Name>>;

/** The field of the configuration with the limit. */
function quotaField(scope: QuotaScope, kind: QuotaKind): QuotaField {
  const words = `quota_${scope}_${kind}`.toLowerCase();
  return words.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) as QuotaField;
}

export const QUOTAS = Object.fromEntries(
  QUOTA_SCOPES.flatMap((scope) =>
    QUOTA_KINDS.map((kind) => [quotaField(scope, kind), quotaSetting(scope, kind)]),
  ),
) as Readonly<Record<QuotaField, Setting<number | null>>>;

/** The limits that are set, for each tenant and for each user of it. */
export function quotaDefaults(
  config: Readonly<Record<QuotaField, number | null>>,
): Readonly<Record<QuotaScope, Limits>> {
  const limitsOf = (scope: QuotaScope): Limits =>
    Object.fromEntries(
      QUOTA_KINDS.flatMap((kind) => {
        const limit = config[quotaField(scope, kind)];
        return limit === null ? [] : [[kind, limit]];
      }),
    );
  return { TENANT: limitsOf('TENANT'), USER: limitsOf('USER') };
}

function quotaSetting(scope: QuotaScope, kind: QuotaKind): Setting<number | null> {
  const declared = optionalInteger({
    name: `QUOTA_${scope}_${kind}`,
    text: `${WHOSE[scope]} ${QUOTA_WORDS[kind]}. The limit is for all gateways together, so set the same at each.`,
    whenUnset: 'no limit',
    min: 0,
    max: MAX_QUOTA,
  });
  return kind === 'STORED_BYTES' ? { ...declared, unit: 'bytes' } : declared;
}
