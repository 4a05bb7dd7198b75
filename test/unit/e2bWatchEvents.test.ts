/** Events of watchers as E2B's clients get them. */
import { expect, it } from 'vitest';
import type { FolderEvent } from '../../src/domain/workerFiles.ts';
import { eventsOfE2b } from '../../src/doors/e2b/envd/watchEvents.ts';

const event = (told: string, entry: FolderEvent['entry'] = null): FolderEvent => {
  const [type, name] = told.split(' ') as [FolderEvent['type'], string];
  return { type, name, entry };
};
const wired = (...told: string[]) =>
  eventsOfE2b(told.map((each) => event(each))).map((each) => {
    const { type, name } = each as { type: string; name: string };
    return `${type} ${name}`;
  });

it('each type has its name', () => {
  expect(wired('create a', 'write b', 'remove c', 'rename d', 'chmod e')).toEqual([
    'EVENT_TYPE_CREATE a',
    'EVENT_TYPE_WRITE b',
    'EVENT_TYPE_REMOVE c',
    'EVENT_TYPE_RENAME d',
    'EVENT_TYPE_CHMOD e',
  ]);
});

it('the creation and the write of a new file are three events, as when envd writes a file', () => {
  expect(wired('create d/a', 'write d/a', 'create b')).toEqual([
    'EVENT_TYPE_CREATE d/a',
    'EVENT_TYPE_CHMOD d/a',
    'EVENT_TYPE_WRITE d/a',
    'EVENT_TYPE_CREATE b',
  ]);
});

it('an entry is described as in other answers, and left out if there is none', () => {
  const entry = {
    path: 'd/a',
    pathBytes: Buffer.from('d/a'),
    name: 'a',
    kind: 'file',
    size: 5,
    mode: 0o644,
    modifiedAt: 0,
    etag: '"1"',
    owner: 'user',
    group: 'user',
    target: null,
    leadsTo: null,
  } as const;
  expect(eventsOfE2b([event('write a', entry), event('remove a')])).toEqual([
    {
      name: 'a',
      type: 'EVENT_TYPE_WRITE',
      entry: expect.objectContaining({
        name: 'a',
        path: '/home/user/d/a',
        size: '5',
        permissions: '-rw-r--r--',
      }),
    },
    { name: 'a', type: 'EVENT_TYPE_REMOVE' },
  ]);
});
