/** `ExecutionFiles`: what an execution changed in the home. */
import type {
  FileChange as Change,
  ExecutionFiles as Comparison,
} from '../../domain/executionFiles.ts';
import { builder } from '../builder.ts';

const FileChangeKind = builder.enumType('FileChangeKind', {
  description: 'What happened to a file. A move is a DELETED and a CREATED.',
  values: {
    CREATED: { description: 'It is there now, and was not before.' },
    MODIFIED: {
      description: 'Its size, its time of modification or the file under its name is another.',
    },
    DELETED: { description: 'It was there before, and is not now.' },
  } as const,
});

const FileChange = builder.objectRef<Change>('FileChange').implement({
  description: 'A file of the home that was created, modified or deleted.',
  fields: (t) => ({
    path: t.exposeString('path', {
      description:
        'The path, relative to the home. Bytes that are not UTF-8 are written as \\xNN, and a backslash as two.',
    }),
    change: t.expose('change', { type: FileChangeKind, description: 'What happened to it.' }),
    size: t.exposeFloat('size', {
      nullable: true,
      description: 'Its size now, in bytes. Null if it is deleted.',
    }),
    modifiedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'Its time of modification, as the file says: code can set it to any time. Null if it is deleted, or if the time is before 1970 or after the year 9999.',
      resolve: ({ modifiedAt }) => (modifiedAt === null ? null : new Date(modifiedAt)),
    }),
  }),
});

export const ExecutionFiles = builder.objectRef<Comparison>('ExecutionFiles').implement({
  description:
    'Which files an execution changed in the home: the difference between their metadata before and after it. Folders, links, `__pycache__` and folders that begin with a dot are left out.',
  fields: (t) => ({
    changes: t.field({
      type: [FileChange],
      nullable: true,
      description: 'The changes, sorted by path. Null if nobody knows; `reason` says why.',
      resolve: ({ changes }) => changes,
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      description:
        'Why there is no list: too-many-entries, too-deep, too-slow, too-many-changes, kernel-replaced, no-earlier-look, helper-away, worker-lost, session-ended or malformed. Null if there is one.',
    }),
    shared: t.exposeBoolean('shared', {
      description:
        'Whether other code or the API may have made some of the changes, because it ran at the same time.',
    }),
  }),
});
