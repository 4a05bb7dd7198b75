/** Long listings at the E2B door: the service is the test's own. e2bFilesystem.test.ts has real folders. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { serveEnvd } from '../../src/doors/e2b/envd/routes.ts';
import type { DoorDeps } from '../../src/doors/openDoor.ts';
import { until } from '../../testkit/until.ts';
import { startEnvd } from '../support/e2b/envd.ts';
import { entryOf } from '../support/filesInMemory.ts';

const PAGE = 1_000;

/** A folder without an end, whose names have so many letters. @param pageMs how long a page takes */
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
])('with too many %s is refused', async (what, letters, most) => {
  const { unary, pages } = await start(letters);
  expect(await unary('filesystem.Filesystem/ListDir', { path: '/tmp' })).toMatchObject({
    status: 400,
    body: { code: 'failed_precondition', message: expect.stringContaining(what) },
  });
  expect(pages()).toBe(most);
});

it('of a client that has gone is read no further', async () => {
  const { ask, pages } = await start(1, 20);
  const leaving = new AbortController();
  const asked = ask('/filesystem.Filesystem/ListDir', {
    ...{ method: 'POST', body: '{}', signal: leaving.signal },
    headers: { 'Content-Type': 'application/json' },
  });
  await until('a page was read', async () => pages() > 1);
  leaving.abort();
  await expect(asked).rejects.toThrow();
  // Until none is read in ten times the time that one takes. It would go on to the limit.
  for (let before = -1; before !== pages(); await pause(200)) before = pages();
  expect(pages()).toBeLessThan(101);
});
