/** Long listings at the E2B door, from a service with endless entries. e2bFilesystem.test.ts has real folders. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { serveEnvd } from '../../src/doors/e2b/envd/routes.ts';
import type { DoorDeps } from '../../src/doors/openDoor.ts';
import { until } from '../../testkit/until.ts';
import { startEnvd } from '../support/e2b/envd.ts';
import { entryOf } from '../support/filesInMemory.ts';

const PAGE = 1_000;

/** Serves an endless folder. @param letters the length of each name @param pageMs how long a page takes */
async function start(letters: number, pageMs = 0) {
  let pages = 0;
  const server = await startEnvd(
    (call) => serveEnvd(call, {} as DoorDeps),
    {},
    {
      files: async (_principal, { userUuid }) => {
        pages += 1;
        await pause(pageMs);
        const entry = entryOf(`/tmp/${'x'.repeat(letters)}`);
        const edge = { item: { userUuid, entry }, cursor: 'x' };
        return { edges: Array(PAGE).fill(edge), hasNextPage: true };
      },
    },
  );
  return { ...server, pages: () => pages };
}

it.each([
  ['entries', 1, 101],
  ['characters in their paths', 2_000, 2],
])('a listing with too many %s is refused', async (what, letters, most) => {
  const { unary, pages } = await start(letters);
  expect(await unary('filesystem.Filesystem/ListDir', { path: '/tmp' })).toMatchObject({
    status: 400,
    body: { code: 'failed_precondition', message: expect.stringContaining(what) },
  });
  expect(pages()).toBe(most);
});

it('a listing is read no further once its client has gone', async () => {
  const { ask, pages } = await start(1, 20);
  const leaving = new AbortController();
  const asked = ask('/filesystem.Filesystem/ListDir', {
    ...{ method: 'POST', body: '{}', signal: leaving.signal },
    headers: { 'Content-Type': 'application/json' },
  });
  await until('a page was read', async () => pages() > 1);
  leaving.abort();
  await expect(asked).rejects.toThrow();
  // Waits until no page is read within ten times the time that a page takes. A listing that is not stopped would go on
  // to the limit.
  for (let before = -1; before !== pages(); await pause(200)) before = pages();
  expect(pages()).toBeLessThan(101);
});
