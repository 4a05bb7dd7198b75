/** Watchers of folders, asked of a real agent through the gateway's client. */
import { describe, expect, it } from 'vitest';
import { MAX_WATCHED_ENTRIES, MAX_WATCHERS } from '../../src/domain/workerFiles.ts';
import { createWorkerFiles } from '../../src/kernel/files/createWorkerFiles.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import { outcomeOf, useFilesOfAgent } from '../support/workerFiles.ts';

const KEEP_MS = 60_000;

describe('watchers of a worker', () => {
  const worker = useFilesOfAgent();
  const watch = (path: string, recursive = false, keepMs = KEEP_MS) =>
    worker().files.watch(path, { recursive, entries: false, keepMs });
  const readEvents = async (watcherId: string) => {
    const { events, hasMore } = await worker().files.watchedEvents(watcherId);
    expect(hasMore).toBe(false);
    return events.map(({ type, name }) => `${type} ${name}`);
  };

  it('report changes by code and by the gateway', async () => {
    await worker().files.makeDirectory('w');
    const [flat, deep] = [await watch('w'), await watch('w', true)];
    await worker().python(`import os, pathlib
pathlib.Path("w/a").write_text("1")
os.makedirs("w/d/.hidden")
pathlib.Path("w/d/.hidden/b").touch()`);
    expect(await readEvents(flat)).toEqual(['create a', 'write a', 'create d']);
    expect(await readEvents(deep)).toEqual([
      ...['create a', 'write a', 'create d', 'create d/.hidden', 'create d/.hidden/b'],
    ]);
    await worker().write('w/a', '2');
    await worker().files.move('w/d', 'w/e');
    expect(await readEvents(deep)).toEqual(['rename d', 'write a', 'create e']);
    await worker().python('import os; os.chmod("w/a", 0o600); os.remove("w/e/.hidden/b")');
    expect(await readEvents(flat)).toEqual(['rename d', 'write a', 'chmod a', 'create e']);
    expect(await readEvents(deep)).toEqual(['remove e/.hidden/b', 'chmod a']);
    for (const id of [flat, deep]) await worker().files.unwatch(id);
    expect(await outcomeOf(worker().files.unwatch(flat))).toBe('no_watcher');
  });

  it('add the entry to an event, unless the entry is gone', async () => {
    await worker().files.makeDirectory('entries');
    await worker().write('entries/gone', '');
    const how = { recursive: false, entries: true, keepMs: KEEP_MS };
    const id = await worker().files.watch('entries', how);
    await worker().files.remove('entries/gone');
    await worker().write('entries/file', 'four');
    const { events } = await worker().files.watchedEvents(id);
    const entry = await worker().files.stat('entries/file');
    expect(events).toEqual([
      { type: 'remove', name: 'gone', entry: null },
      { type: 'create', name: 'file', entry },
      { type: 'write', name: 'file', entry },
    ]);
    await worker().files.unwatch(id);
  });

  it('can be asked by another gateway, and by no other session', async () => {
    const { agent, sessionId, bootId } = worker();
    const address = socketAddress(agent.socketPath);
    const id = await watch('.');
    const other = createWorkerFiles({ address, sessionId, bootId });
    expect(await other.watchedEvents(id)).toMatchObject({ hasMore: false });
    const foreign = createWorkerFiles({ address, sessionId: crypto.randomUUID(), bootId });
    const asked = foreign.watchedEvents(id);
    expect(await outcomeOf(asked)).toBe('other_session');
    await other.unwatch(id);
  });

  it('have the limits that the gateway names in its refusals', async () => {
    await worker().files.makeDirectory('many');
    await worker().python(
      `for number in range(${MAX_WATCHED_ENTRIES}): open(f"many/{number}", "w").close()`,
    );
    const ids = [await watch('many')];
    await worker().write('many/more', '');
    expect(await outcomeOf(watch('many'))).toBe('too_many_watched');
    while (ids.length < MAX_WATCHERS) ids.push(await watch('.'));
    expect(await outcomeOf(watch('.'))).toBe('too_many_watchers');
    for (const id of ids) await worker().files.unwatch(id);
  });

  it('watch folders only', async () => {
    await worker().write('no-folder', '');
    expect(await outcomeOf(watch('no-folder'))).toBe('not_a_directory');
    expect(await outcomeOf(watch('nothing'))).toBe('not_found');
    expect(await outcomeOf(watch('/root'))).toBe('permission_denied');
  });

  it('are dropped after `keepMs` in which nobody has asked them', async () => {
    const id = await watch('.', false, 1);
    await expect.poll(() => outcomeOf(worker().files.watchedEvents(id))).toBe('no_watcher');
  });
});
