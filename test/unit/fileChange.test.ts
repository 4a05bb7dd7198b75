import { describe, expect, it } from 'vitest';
import {
  decideFileChange,
  evolveFileChange,
  type FileChangeCommand,
  type FileChangeEvent,
} from '../../src/domain/fileChange.ts';
import type { FileChangeId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const asked = {
  at,
  changeId: newId<FileChangeId>(),
  tenant: 'default',
  userUuid: 'ann',
  sessionId: newId<SessionId>(),
  workerId: newId<WorkerId>(),
  operation: 'move' as const,
  path: 'a.csv',
  toPath: 'b.csv',
};
const sha256 = 'f'.repeat(64);

const request: FileChangeCommand = { type: 'RequestFileChange', ...asked };
const written: FileChangeCommand = { type: 'RecordWritten', at, size: 3, sha256, isNew: true };
const moved: FileChangeCommand = { type: 'RecordMoved', at, size: 3 };
const deleted: FileChangeCommand = { type: 'RecordDeleted', at, size: 3, files: 1 };
const failed: FileChangeCommand = {
  type: 'RecordFailure',
  at,
  code: 'NO_SPACE',
  mayHaveHappened: false,
};
const requested: FileChangeEvent = { type: 'FileChangeRequested', data: asked };
const wasWritten: FileChangeEvent = {
  type: 'FileWritten',
  data: { at, path: 'a.csv', size: 3, sha256, isNew: true },
};

const { given, play } = deciderSpecification({
  decide: decideFileChange,
  evolve: evolveFileChange,
});

describe('a change of a file', () => {
  it('given none, when requested: it is pending', () => {
    given().when(request).then(requested);
    const { changeId: id, at: _, ...rest } = asked;
    expect(given(requested).state).toMatchObject({
      id,
      ...rest,
      version: 1,
      status: 'PENDING',
      requestedAt: new Date(at),
      finishedAt: null,
    });
  });

  it.each([written, moved, deleted, failed])('given none, when $type: refused', (command) => {
    given().when(command).thenThrows();
  });

  it('given pending, when requested again: refused', () => {
    given(requested).when(request).thenThrows();
  });

  it('given pending, when written: size and hash are recorded with the path', () => {
    given(requested).when(written).then(wasWritten);
    const { state } = given(requested, wasWritten);
    expect(state).toMatchObject({ status: 'WRITTEN', size: 3, sha256, isNew: true, version: 2 });
    expect(state?.finishedAt).toEqual(new Date(at));
  });

  it('given pending, when moved: both names are recorded', () => {
    const event: FileChangeEvent = {
      type: 'FileMoved',
      data: { at, path: 'a.csv', toPath: 'b.csv', size: 3 },
    };
    given(requested).when(moved).then(event);
    expect(given(requested, event).state).toMatchObject({ status: 'MOVED', size: 3, sha256: null });
  });

  it('given pending, when deleted: what was deleted is counted', () => {
    const event: FileChangeEvent = {
      type: 'FileDeleted',
      data: { at, path: 'a.csv', size: 3, files: 1 },
    };
    given(requested).when(deleted).then(event);
    expect(given(requested, event).state).toMatchObject({ status: 'DELETED', size: 3, files: 1 });
  });

  it('given pending, when it failed: the code is recorded, and whether the change may have happened', () => {
    const event: FileChangeEvent = {
      type: 'FileChangeFailed',
      data: { at, code: 'NO_SPACE', mayHaveHappened: false },
    };
    given(requested).when(failed).then(event);
    expect(given(requested, event).state).toMatchObject({
      status: 'FAILED',
      errorCode: 'NO_SPACE',
      mayHaveHappened: false,
      size: null,
    });
  });

  it.each([written, moved, deleted, failed])('given an outcome, when $type: nothing', (command) => {
    given(requested, wasWritten).when(command).then();
  });
});

describe('any sequence of commands on a change', () => {
  it('has at most one request and at most one outcome', () => {
    const command = fc.constantFrom(request, written, moved, deleted, failed);
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
        const types = play(commands).map(([{ type }]) => type);
        expect(types.length).toBeLessThanOrEqual(2);
        expect(types.lastIndexOf('FileChangeRequested')).toBe(types.length === 0 ? -1 : 0);
      }),
    );
  });
});
