/** `File`, with its queries. */

import { fileUrlOf } from '../../domain/fileUrl.ts';
import type { FileKind } from '../../domain/workerFiles.ts';
import type { FileView } from '../../service/files/fileView.ts';
import { builder } from '../builder.ts';
import { connectionOf, pageArgs } from '../connection.ts';
import type { SchemaContext } from '../context.ts';

const FileType = builder.enumType('FileType', {
  description: 'What is under a name.',
  values: {
    FILE: { description: 'A regular file.' },
    DIRECTORY: { description: 'A folder.' },
    SYMLINK: { description: 'A symbolic link, whether or not it leads anywhere.' },
    OTHER: { description: 'A pipe, a socket or a device. It can only be moved and deleted.' },
  } as const,
});

const TYPES: Readonly<Record<FileKind, 'FILE' | 'DIRECTORY' | 'SYMLINK' | 'OTHER'>> = {
  file: 'FILE',
  directory: 'DIRECTORY',
  link: 'SYMLINK',
  other: 'OTHER',
};

const MAX_BYTES = {
  description:
    'The largest content to return, in bytes. A larger one is the error FILE_TOO_LARGE. Default and maximum MAX_FILE_TEXT_BYTES.',
} as const;

export const File = builder.objectRef<FileView>('File').implement({
  description: "A file or folder of a user's session, as the worker tells it.",
  fields: (t) => ({
    path: t.string({
      description:
        'The path, relative to the home, or absolute outside of it. Bytes that are not UTF-8 are written as \\xNN; `url` then names the file exactly.',
      resolve: ({ entry }) => entry.path,
    }),
    name: t.string({
      description: 'The last name of the path.',
      resolve: ({ entry }) => entry.name,
    }),
    type: t.field({
      type: FileType,
      description: 'Whether it is a file, a folder, a link or something else.',
      resolve: ({ entry }) => TYPES[entry.kind],
    }),
    size: t.float({
      description: 'Its size in bytes. 0 for everything but a regular file. A whole number.',
      resolve: ({ entry }) => entry.size,
    }),
    modifiedAt: t.field({
      type: 'DateTime',
      description: 'When its content was last changed, as its file system says. Code can set it.',
      resolve: ({ entry }) => timeOf(entry.modifiedAt),
    }),
    permissions: t.string({
      description: 'Its permissions, as `ls` writes them, e.g. `rw-r--r--`.',
      resolve: ({ entry }) => permissionsOf(entry.mode),
    }),
    symlinkTarget: t.string({
      nullable: true,
      description: 'Where a link leads, as it is written in the link. Null if it is no link.',
      resolve: ({ entry }) => entry.target,
    }),
    etag: t.string({
      description:
        'Names this version of the file, for `ifMatch`, and for `If-Match` and `If-None-Match` over HTTP.',
      resolve: ({ entry }) => entry.etag,
    }),
    url: t.string({
      description:
        'The path of its HTTP URL, for GET, HEAD, PUT and DELETE. It needs the token like every request.',
      resolve: ({ userUuid, entry }) => fileUrlOf(userUuid, entry.pathBytes),
    }),
  }),
});

builder.objectFields(File, (t) => ({
  text: t.string({
    nullable: true,
    description:
      'The whole content as text. Null if this is no file (a link counts as what it leads to), or if the content is not UTF-8.',
    args: { maxBytes: t.arg.int(MAX_BYTES) },
    resolve: async (file, { maxBytes }, context, info) => {
      const bytes = await contentOf(context, info, file, 'text', maxBytes);
      const text = bytes?.toString('utf8');
      return text !== undefined && bytes?.equals(Buffer.from(text)) ? text : null;
    },
  }),
  base64: t.string({
    nullable: true,
    description: 'The whole content in base64, on one line. Null if this is no file.',
    args: { maxBytes: t.arg.int(MAX_BYTES) },
    resolve: async (file, { maxBytes }, context, info) =>
      (await contentOf(context, info, file, 'base64', maxBytes))?.toString('base64') ?? null,
  }),
}));

/** Base64 makes four characters of three bytes. */
const BASE64_GROWTH = 4 / 3;

function contentOf(
  { service, principal, answer }: SchemaContext,
  info: { readonly rootValue: unknown },
  file: FileView,
  field: 'text' | 'base64',
  maxBytes: number | null | undefined,
): Promise<Buffer | null> {
  const whole = answer(info);
  const growth = field === 'base64' ? BASE64_GROWTH : 1;
  const charge = (bytes: number) =>
    whole.fileBytes(file.entry.path, field, Math.ceil(bytes * growth));
  return whole.inTurn(() => service.fileText(principal, file, { maxBytes, charge }));
}

/** The times that a DateTime can represent (`scalars.ts`). A file's time may lie outside of them. */
const FIRST_MS = Date.parse('0001-01-02T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-30T23:59:59.999Z');

function timeOf(ms: number): Date {
  return new Date(Math.min(LAST_MS, Math.max(FIRST_MS, ms)));
}

function permissionsOf(mode: number): string {
  return [...'rwxrwxrwx']
    .map((letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-'))
    .join('');
}

builder.queryFields((t) => ({
  file: t.field({
    type: File,
    nullable: true,
    description:
      "The file, folder or link at a path in the user's open session. Null if nothing is there, or without an open session.",
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      path: t.arg.string({
        required: true,
        description: 'The path: relative to the home (`.` is the home itself), or absolute.',
      }),
    },
    resolve: (_root, { userUuid, path }, { service, principal }) =>
      service.file(principal, userUuid, path),
  }),
  files: t.field({
    type: connectionOf('File', File),
    description:
      'What is in a folder of the open session, each folder before what is in it, names in the order of their bytes. Links are not followed. A page may be shorter than `first`.',
    args: {
      userUuid: t.arg.string({ required: true, description: 'The user.' }),
      path: t.arg.string({
        defaultValue: '.',
        description: 'The folder: relative to the home, or absolute.',
      }),
      depth: t.arg.int({
        defaultValue: 1,
        description: 'How many levels of folders, 1 to 32. 1: only what is in the folder itself.',
      }),
      ...pageArgs,
    },
    resolve: (_root, { userUuid, path, ...rest }, { service, principal }) =>
      service.files(principal, { userUuid, path: path ?? '.', ...rest }),
  }),
}));
