import type { Config } from '../../config/config.ts';
import { type EgressRule, notCovered, parseRule } from '../../domain/egress/egressRule.ts';
import { refuse } from '../validate.ts';

/** More than a session needs, and few enough to compare each connection with all of them. */
const MAX_ENTRIES = 64;
/** A host name, and a port. */
const MAX_ENTRY_CHARS = 260;

export type EgressLimits = Pick<Config, 'egressAllow' | 'tenantEgressAllow'>;

/**
 * The hosts that a session's code may reach, as rules in alphabetical order. They only narrow what its tenant may reach.
 * @throws BAD_USER_INPUT, with the field `egressAllow`
 */
export function validateEgress(
  given: readonly string[],
  { egressAllow, tenantEgressAllow }: EgressLimits,
  tenant: string,
): readonly string[] {
  const field = 'egressAllow';
  if (given.length > MAX_ENTRIES)
    refuse(field, `has ${given.length} items, at most ${MAX_ENTRIES} are allowed`, {
      limit: MAX_ENTRIES,
    });
  const rules = given.map((text) => ruleOf(field, text));
  requireCovered(field, rules, egressAllow, 'EGRESS_ALLOW of this installation');
  const ofTenant = tenantEgressAllow.get(tenant);
  if (ofTenant) requireCovered(field, rules, ofTenant, 'what this tenant may reach');
  return [...new Set(rules.map(({ text }) => text))].sort();
}

function ruleOf(field: string, text: string): EgressRule {
  if (text.length > MAX_ENTRY_CHARS)
    return refuse(
      field,
      `has an item of ${text.length} characters, at most ${MAX_ENTRY_CHARS} are allowed`,
      {
        limit: MAX_ENTRY_CHARS,
      },
    );
  const rule = parseRule(text);
  return 'problem' in rule ? refuse(field, `has an item that ${rule.problem}`, {}) : rule;
}

function requireCovered(
  field: string,
  rules: readonly EgressRule[],
  outer: readonly EgressRule[],
  what: string,
): void {
  const missing = rules.flatMap((rule) => notCovered(outer, rule));
  if (missing.length > 0) refuse(field, `names ${missing.join(', ')}, which is not in ${what}`, {});
}
