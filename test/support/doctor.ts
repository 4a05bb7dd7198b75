/** Runs `cellhouse doctor --json`, and reads what it prints. */
import type { CheckId } from '../../src/doctor/troubles.ts';
import { runCli } from '../../testkit/runCli.ts';

interface PrintedFinding {
  readonly check: CheckId;
  readonly state: 'ok' | 'warning' | 'failure' | 'unknown';
  readonly found: string;
  readonly trouble?: string;
  readonly cause?: string;
  readonly cure?: string;
}

export async function findingsOf(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly findings: readonly PrintedFinding[] }> {
  const { code, output } = await runCli(['doctor', '--json', ...words], env);
  const lines = output.trimEnd().split('\n');
  return { code, findings: lines.map((line) => JSON.parse(line) as PrintedFinding) };
}

/** The check and the trouble of each finding in this state. */
export function troublesOf(
  findings: readonly PrintedFinding[],
  state: 'warning' | 'failure',
): (readonly [CheckId, string | undefined])[] {
  return findings
    .filter((each) => each.state === state)
    .map(({ check, trouble }) => [check, trouble]);
}
