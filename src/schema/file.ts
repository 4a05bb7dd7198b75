/** `File`, with its queries and changes. */
import { fileUrlOf } from '../domain/fileUrl.ts';
import type { FileKind } from '../domain/workerFiles.ts';
import type { FileView } from '../service/files/sessionFiles.ts';
import { builder, ContentInput, connectionOf, pageArgs, USER } from './builder.ts';
import type { SchemaContext } from './context.ts';

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

const File = builder.objectRef<FileView>('File').implement({
  description: "A file or folder of a user's session, as the worker reports it.",
  fields: (t) => ({
    path: t.string({
      description:
        'The path, relative to the home, or absolute outside of it. Bytes that are not UTF-8 are written as \\xNN; `url` then names the file exactly.',
      resolve: ({ entry }) => entry.path,
    }),
    name: t.string({
      description: 'The last part of the path.',
      resolve: ({ entry }) => entry.name,
    }),
    type: t.field({
      type: FileType,
      description: 'Whether it is a file, a folder, a link or something else.',
      resolve: ({ entry }) => TYPES[entry.kind],
    }),
    size: t.field({
      type: 'Int53',
      nullable: true,
      description: 'Its size in bytes. Null for everything but a regular file.',
      resolve: ({ entry }) => (entry.kind === 'file' ? entry.size : null),
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

/** The times that a DateTime can represent (`builder.ts`). A file's time may lie outside of them. */
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
      "The file, folder or link at a path in the user's open session. Null if nothing is there, or if the user has no open session.",
    args: {
      userUuid: t.arg.string(USER),
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
      "The content of a folder in the user's open session, sorted by the bytes of the names. With `depth`, each folder is followed by its content. Links are not followed. A page may be shorter than `first`.",
    args: {
      userUuid: t.arg.string(USER),
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

// `writeFile`, `makeDirectory`, `moveFile` and `deleteFile`, which change files.

const WriteFileInput = builder.inputType('WriteFileInput', {
  description: 'A small file. HTTP (`PUT /files/...`) takes larger ones.',
  fields: (t) => ({
    userUuid: t.string(USER),
    path: t.string({
      required: true,
      description:
        'The path: relative to the home, or absolute. Missing folders above it are made.',
    }),
    content: t.field({
      type: ContentInput,
      required: true,
      description: 'The content: at most MAX_FILE_TEXT_BYTES; a text counts in UTF-8.',
    }),
    append: t.boolean({
      defaultValue: false,
      description: 'Adds to the end of the file, if there is one, instead of replacing it.',
    }),
  }),
});

const MakeDirectoryInput = builder.inputType('MakeDirectoryInput', {
  description: 'A folder to make.',
  fields: (t) => ({
    userUuid: t.string(USER),
    path: t.string({
      required: true,
      description: 'The path of the folder: relative to the home, or absolute.',
    }),
  }),
});

const MoveFileInput = builder.inputType('MoveFileInput', {
  description: 'A file or folder, and its new path.',
  fields: (t) => ({
    userUuid: t.string(USER),
    from: t.string({
      required: true,
      description: 'The present path: relative to the home, or absolute.',
    }),
    to: t.string({
      required: true,
      description: 'The new path: relative to the home, or absolute.',
    }),
    overwrite: t.boolean({
      defaultValue: false,
      description: 'Whether to replace a file or an empty folder at the new path.',
    }),
  }),
});

builder.mutationFields((t) => ({
  writeFile: t.field({
    type: File,
    description:
      'Writes a small file, and answers when it is written. Opens a session if there is none. The file appears whole or not at all.',
    args: { input: t.arg({ type: WriteFileInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input: { content, ...rest } }, { service, principal }) =>
      service.writeFile(principal, { ...rest, ...content }),
  }),
  makeDirectory: t.field({
    type: File,
    description:
      'Makes a folder, and missing folders above it. If the folder exists, the call succeeds. Opens a session if there is none.',
    args: {
      input: t.arg({ type: MakeDirectoryInput, required: true, description: 'The folder.' }),
    },
    resolve: (_root, { input: { userUuid, path } }, { service, principal }) =>
      service.makeDirectory(principal, userUuid, path),
  }),
  moveFile: t.field({
    type: File,
    description: 'Moves a file or folder. The folder above the new path must exist.',
    args: {
      input: t.arg({
        type: MoveFileInput,
        required: true,
        description: 'The present and the new path.',
      }),
    },
    resolve: (_root, { input }, { service, principal }) => service.moveFile(principal, input),
  }),
}));

const DeleteFileInput = builder.inputType('DeleteFileInput', {
  description: 'A file or folder to delete.',
  fields: (t) => ({
    userUuid: t.string(USER),
    path: t.string({ required: true, description: 'The path: relative to the home, or absolute.' }),
    ifMatch: t.string({
      description:
        'Deletes the file only if it has this `etag`, or one of several that are separated by commas. Otherwise the error is PRECONDITION_FAILED. A link matches by its own `etag` or that of what it leads to.',
    }),
  }),
});

const DeleteFilePayload = builder
  .objectRef<{ readonly deleted: boolean; readonly path: string }>('DeleteFilePayload')
  .implement({
    description: 'The result of `deleteFile`.',
    fields: (t) => ({
      deleted: t.exposeBoolean('deleted', {
        description: 'Whether something was there and was deleted.',
      }),
      path: t.exposeString('path', { description: 'The path, as the call named it.' }),
    }),
  });

builder.mutationField('deleteFile', (t) =>
  t.field({
    type: DeleteFilePayload,
    description:
      'Deletes a file, a link, or a folder with all that is in it. If nothing is there, the call succeeds with `deleted: false`.',
    args: {
      input: t.arg({ type: DeleteFileInput, required: true, description: 'What to delete.' }),
    },
    resolve: async (_root, { input: { userUuid, path, ifMatch } }, { service, principal }) => ({
      path,
      deleted: await service.deleteFile(
        principal,
        userUuid,
        path,
        ifMatch == null ? {} : { ifMatch },
      ),
    }),
  }),
);
