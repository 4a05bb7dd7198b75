/** Runs the shell commands of docs/internals/doors.md ("E2B by hand") as the page prints them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

const PAGE = readFileSync(new URL('../../../docs/internals/doors.md', import.meta.url), 'utf8');

it('the page shows the output that its commands give', async () => {
  const [, commands = '', printed = ''] =
    /\n## E2B by hand\n[\s\S]*?```sh\n([\s\S]*?)```[\s\S]*?```\n([\s\S]*?)```/.exec(PAGE) ?? [];
  expect(commands).toContain('/v2/sandboxes');
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commands]);
  expect(withoutIds(stdout)).toBe(withoutIds(printed));
});

/** Replaces values that differ in each run by dots. */
function withoutIds(text: string): string {
  return text
    .replace(/"i[a-z0-9]{20}"/g, '"i..."')
    .replace(/("(?:\w+AccessToken|timestamp)":)"[^"]+"/g, '$1"..."')
    .replace(/"pid":\d+/g, '"pid":...');
}
