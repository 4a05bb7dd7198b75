/** What docs/internals/doors.md does by hand, run in a shell as it is printed there. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

const PAGE = readFileSync(new URL('../../../docs/internals/doors.md', import.meta.url), 'utf8');

it('the page prints what its commands print', async () => {
  const [, commands = '', printed = ''] =
    /\n## E2B by hand\n[\s\S]*?```sh\n([\s\S]*?)```[\s\S]*?```\n([\s\S]*?)```/.exec(PAGE) ?? [];
  expect(commands).toContain('/v2/sandboxes');
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commands]);
  expect(withoutIds(stdout)).toBe(withoutIds(printed));
});

/** With dots for what each run has of its own. */
function withoutIds(text: string): string {
  return text
    .replace(/"i[a-z0-9]{20}"/g, '"i..."')
    .replace(/("(?:\w+AccessToken|timestamp)":)"[^"]+"/g, '$1"..."')
    .replace(/"pid":\d+/g, '"pid":...');
}
