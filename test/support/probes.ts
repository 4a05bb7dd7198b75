/** Attacks on a worker, in Python (test/e2e/security/probes): their names, and the code that runs a theme. */
import { readdirSync, readFileSync } from 'node:fs';

export const TIERS = ['runc', 'runsc'] as const;
export type Tier = (typeof TIERS)[number];

const FOLDER = new URL('../e2e/security/probes/', import.meta.url);
const HARNESS = 'harness';

export interface Verdict {
  readonly probe: string;
  /** What the attack saw when it was refused. Exactly one of the three fields is set. */
  readonly held?: string;
  readonly through?: string;
  /** The attack failed for a reason that says nothing about the defence. */
  readonly broken?: string;
}

/** The parameters of the probes; probes/harness.py lists them as PARAMETERS. */
export interface ProbeParameters {
  readonly tier: Tier;
  /** Names of settings that anyone may know. */
  readonly settings: readonly string[];
  readonly gateway_port: number;
  /** A port on which a server listens on every address of the host. */
  readonly open_port: number;
  readonly host_addresses: readonly string[];
  readonly host_paths: readonly string[];
  readonly host_cmdline: string;
  /** The name of a listening abstract Unix socket of the host, without its leading NUL. */
  readonly abstract_socket: string;
}

/** Each file is one theme. */
export function probeThemes(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.py') && name !== `${HARNESS}.py`)
    .map((name) => name.slice(0, -'.py'.length));
}

/** The names of a theme's probes for this tier, in the order in which they run. */
export function probeNames(theme: string, tier: Tier): string[] {
  const probes = sourceOf(theme).matchAll(/^@probe\(\s*"([^"]+)"(?:,\s*only="(\w+)")?,?\s*\)/gm);
  return [...probes].flatMap(([, name = '', only]) =>
    only === undefined || only === tier ? [name] : [],
  );
}

/** Python that runs every probe of a theme, or of `source` instead. Each printed line is a {@link Verdict} as JSON. */
export function probeCode(
  theme: string,
  parameters: ProbeParameters,
  source: string = sourceOf(theme),
): string {
  const modules = JSON.stringify([
    [HARNESS, sourceOf(HARNESS)],
    [theme, source],
  ]);
  return `import json, os, sys, types
for name, source in json.loads(${JSON.stringify(modules)}):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
    if name == ${JSON.stringify(HARNESS)}:
        module.PARAMETERS.update(json.loads(${JSON.stringify(JSON.stringify(parameters))}), kernel_pid=os.getpid())
sys.modules[${JSON.stringify(HARNESS)}].run_probes()
`;
}

/** @throws SyntaxError if anything else was printed */
export function parseVerdicts(stdout: string): Map<string, Verdict> {
  const lines = stdout.split('\n').filter(Boolean);
  const verdicts = lines.map((line) => JSON.parse(line) as Verdict);
  return new Map(verdicts.map((verdict) => [verdict.probe, verdict]));
}

function sourceOf(theme: string): string {
  return readFileSync(new URL(`${theme}.py`, FOLDER), 'utf8');
}
