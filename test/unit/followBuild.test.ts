/** How following a build ends. test/int/environments.test.ts tests what a follower gets before the end. */
import { expect, it } from 'vitest';
import type { Environment } from '../../src/domain/environment.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { EnvironmentId } from '../../src/domain/ids.ts';
import { followBuild } from '../../src/service/environments/environments.ts';
import { createSharedOutput } from '../../src/service/output/sharedOutput.ts';
import { AUTH_TOKEN_HOLDER as ME } from '../../src/service/principal.ts';

type Deps = Parameters<typeof followBuild>[0];
const id = '01990000-0000-7000-8000-000000000001' as EnvironmentId;
const BUILDING = { id, number: 1, state: 'BUILDING', removedAt: null } as Environment;
const REMOVED = { streamId: id, event: { type: 'EnvironmentRemoved' } } as unknown as RecordedEvent;

/** A database with one version that is being built, whose log is empty. */
function world({
  versionNow = async () => BUILDING,
  outputs = async () => ({ items: [], isEnd: false }),
}: {
  versionNow?: () => Promise<Environment | null>;
  outputs?: () => Promise<object>;
}) {
  const listeners = new Set<(event: RecordedEvent) => void>();
  const deps = {
    sharedOutput: createSharedOutput(),
    database: {
      queries: { versionsOf: async () => [BUILDING], environmentVersion: versionNow, outputs },
      wakeUps: {
        onOutput: () => () => {},
        onEvent: (listener: (event: RecordedEvent) => void) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    },
  } as unknown as Deps;
  const tell = (event: RecordedEvent) => {
    for (const listener of listeners) listener(event);
  };
  return { listeners, tell, follow: () => followBuild(deps, ME, 'science', null, 0) };
}

it('following ends if the version was removed before anybody listened', async () => {
  const { listeners, follow } = world({
    versionNow: async () => ({ ...BUILDING, removedAt: new Date() }),
  });
  const items = await follow();
  expect(await items.next()).toEqual({ done: true, value: undefined });
  expect(listeners.size).toBe(0);
});

it('following fails if the database cannot tell whether the removed version was built', async () => {
  const away = new Error('The database is away.');
  let isAway = false;
  const { listeners, tell, follow } = world({
    versionNow: async () => {
      if (isAway) throw away;
      return BUILDING;
    },
  });
  const items = await follow();
  const next = items.next();
  isAway = true;
  tell(REMOVED);
  await expect(next).rejects.toBe(away);
  expect(listeners.size).toBe(0);
});

it('following fails if the log cannot be read, and leaves no listener', async () => {
  const away = new Error('The database is away.');
  const { listeners, follow } = world({ outputs: () => Promise.reject(away) });
  const items = await follow();
  await expect(items.next()).rejects.toBe(away);
  expect(listeners.size).toBe(0);
});
