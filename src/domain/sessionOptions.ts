/**
 * The options that a caller may set when a session opens. They never change afterwards. Only the end of its life can be
 * moved.
 */

export interface SessionOptions {
  /** The caller's own notes. Lists can be filtered by them. */
  readonly metadata: Readonly<Record<string, string>>;
  /** In alphabetical order. Values are never part of an event or a state. */
  readonly environmentVariableNames: readonly string[];
  /** The session ends after this time without a use. Null: after that of the settings. */
  readonly idleTimeoutMs: number | null;
  /** How long the session lives, counted from its opening. Null: as long as the settings say. */
  readonly maxLifeMs: number | null;
  /** The hosts that its code may reach, as rules in alphabetical order. Null: all that its tenant may reach. */
  readonly egressAllow: readonly string[] | null;
  /**
   * The name of the environment whose worker the session gets. The worker has the newest version at that time. Null: no
   * environment.
   */
  readonly environment: string | null;
}

/** The options of a session that was opened without any. */
export const NO_OPTIONS: SessionOptions = {
  metadata: {},
  environmentVariableNames: [],
  idleTimeoutMs: null,
  maxLifeMs: null,
  egressAllow: null,
  environment: null,
};

/** Whether no option was given, so that the session is a plain one. */
export function isPlain(options: SessionOptions): boolean {
  return differences(options, NO_OPTIONS).length === 0;
}

/**
 * The names of the options that differ, such as `idleTimeoutMs`, `metadata.team`, `environmentVariables.TOKEN`. Values
 * are not compared for environment variables: they are not known here.
 */
export function differences(one: SessionOptions, other: SessionOptions): string[] {
  const names: string[] = [];
  if (one.environment !== other.environment) names.push('environment');
  if (one.idleTimeoutMs !== other.idleTimeoutMs) names.push('idleTimeoutMs');
  if (one.maxLifeMs !== other.maxLifeMs) names.push('maxLifeMs');
  if (one.egressAllow?.join() !== other.egressAllow?.join()) names.push('egressAllow');
  const keys = new Set([...Object.keys(one.metadata), ...Object.keys(other.metadata)]);
  for (const key of [...keys].sort()) {
    if (metadataAt(one, key) !== metadataAt(other, key)) names.push(`metadata.${key}`);
  }
  const variables = new Set([...one.environmentVariableNames, ...other.environmentVariableNames]);
  for (const name of [...variables].sort()) {
    const has = (options: SessionOptions) => options.environmentVariableNames.includes(name);
    if (has(one) !== has(other)) names.push(`environmentVariables.${name}`);
  }
  return names;
}

function metadataAt({ metadata }: SessionOptions, key: string): string | undefined {
  return Object.hasOwn(metadata, key) ? metadata[key] : undefined;
}
