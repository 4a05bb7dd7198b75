/** Checks the options of a session before a worker is claimed. */
import type { Config } from '../../config/config.ts';
import { type EgressRule, notCovered, parseRule } from '../../domain/egress.ts';
import type { SessionOptions } from '../../domain/session.ts';
import {
  type EnvironmentVariable,
  refuse,
  type VariableLimits,
  type Variables,
  validateName,
  validateVariables,
  validateWholeNumber,
} from '../validate.ts';

/** More than a session needs, and few enough to compare each connection with all of them. */
const MAX_ENTRIES = 64;
/** A host name, and a port. */
const MAX_ENTRY_CHARS = 260;

type EgressLimits = Pick<Config, 'egressAllow' | 'tenantEgressAllow'>;

/**
 * The hosts that a session's code may reach, as rules in alphabetical order. They can only narrow what its tenant may
 * reach.
 * @throws BAD_USER_INPUT, with the field `egressAllow`
 */
function validateEgress(
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

/** The same minimum as for the corresponding settings. Upkeep checks idle times only once a second. */
const MIN_TIME_MS = 1_000;
const MAX_METADATA_KEY_CHARS = 128;
/** No environment has a longer name (`domain/environment.ts`). */
const MAX_ENVIRONMENT_NAME_CHARS = 63;

/** The options of a caller's request. An option that is null or left out is not asked for. */
export interface OptionsRequest {
  readonly environmentVariables?: readonly EnvironmentVariable[] | null | undefined;
  readonly metadata?: unknown;
  readonly idleTimeoutMs?: number | null | undefined;
  readonly maxLifeMs?: number | null | undefined;
  readonly egressAllow?: readonly string[] | null | undefined;
  readonly environment?: string | null | undefined;
}

/** The options that a caller asks for, and the values of the variables, which are stored apart from the options. */
export interface AskedOptions {
  readonly options: SessionOptions;
  readonly variables: Variables;
}

type Limits = VariableLimits &
  EgressLimits &
  Pick<Config, 'longestSessionLifeMs' | 'maxSessionMetadataKeys' | 'maxSessionMetadataBytes'>;

/** @param tenant whose session it is. @throws BAD_USER_INPUT */
export function validateOptions(
  request: OptionsRequest,
  limits: Limits,
  tenant: string,
): AskedOptions {
  const variables = validateVariables(request.environmentVariables ?? [], limits);
  const options = {
    metadata: validateMetadata(request.metadata ?? {}, limits),
    environmentVariableNames: Object.keys(variables).sort(),
    idleTimeoutMs: validateTime('idleTimeoutMs', request.idleTimeoutMs, limits),
    maxLifeMs: validateTime('maxLifeMs', request.maxLifeMs, limits),
    egressAllow: request.egressAllow ? validateEgress(request.egressAllow, limits, tenant) : null,
    environment: validateEnvironment(request.environment),
  };
  return { options, variables };
}

function validateEnvironment(name: string | null | undefined): string | null {
  if (name == null) return null;
  if (name === '') refuse('environment', 'must not be empty', {});
  validateName('environment', name, MAX_ENVIRONMENT_NAME_CHARS);
  return name;
}

function validateTime(
  field: string,
  value: number | null | undefined,
  { longestSessionLifeMs: max }: Limits,
): number | null {
  return value == null ? null : validateWholeNumber(field, value, { min: MIN_TIME_MS, max });
}

/** An object of strings. @throws BAD_USER_INPUT, with the field `metadata` */
export function validateMetadata(
  metadata: unknown,
  { maxSessionMetadataKeys: maxKeys, maxSessionMetadataBytes: maxBytes }: Limits,
): Readonly<Record<string, string>> {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    return refuse('metadata', 'must be an object of strings', {});
  }
  const entries = Object.entries(metadata);
  if (entries.length > maxKeys) {
    refuse('metadata', `has ${entries.length} keys, at most ${maxKeys} are allowed`, {
      limit: maxKeys,
    });
  }
  let bytes = 0;
  for (const [key, value] of entries) {
    if (key === '') refuse('metadata', 'must not have an empty key', {});
    validateName('metadata', key, MAX_METADATA_KEY_CHARS);
    if (typeof value !== 'string') return refuse('metadata', 'must be an object of strings', {});
    validateName('metadata', value, maxBytes);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > maxBytes) {
    refuse('metadata', `is ${bytes} bytes of UTF-8, at most ${maxBytes} are allowed`, {
      limit: maxBytes,
    });
  }
  // Own keys only, in a fixed order, so that the same metadata always gives the same event.
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** The owner of a session. */
export interface SessionOwner {
  readonly tenant: string;
  readonly userUuid: string;
}
