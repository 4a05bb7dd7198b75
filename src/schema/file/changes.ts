/** `writeFile`, `makeDirectory`, `moveFile` and `deleteFile`, which change files. */
import { builder } from '../builder.ts';
import { File } from './file.ts';

const USER = { required: true, description: 'The user.' } as const;

const WriteFileInput = builder.inputType('WriteFileInput', {
  description: 'A small file. HTTP (`PUT /files/...`) takes larger ones.',
  fields: (t) => ({
    userUuid: t.string(USER),
    path: t.string({
      required: true,
      description: 'The path: relative to the home, or absolute. Folders above it are made.',
    }),
    text: t.string({
      description: 'The content as text, of at most MAX_FILE_TEXT_BYTES in UTF-8.',
    }),
    base64: t.string({
      description:
        'The content in base64, instead of `text`: at most MAX_FILE_TEXT_BYTES of bytes.',
    }),
    append: t.boolean({
      defaultValue: false,
      description: 'Adds to the end of the file, if there is one, instead of replacing it.',
    }),
  }),
});

builder.mutationFields((t) => ({
  writeFile: t.field({
    type: File,
    description:
      'Writes a small file, and answers when it is there. Opens a session if there is none. Nobody sees half of it under its name.',
    args: { input: t.arg({ type: WriteFileInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input }, { service, principal }) => service.writeFile(principal, input),
  }),
  makeDirectory: t.field({
    type: File,
    description:
      'Makes a folder, and those above it. One that is there already is fine. Opens a session if there is none.',
    args: {
      userUuid: t.arg.string(USER),
      path: t.arg.string({ required: true, description: 'The path of the folder.' }),
    },
    resolve: (_root, { userUuid, path }, { service, principal }) =>
      service.makeDirectory(principal, userUuid, path),
  }),
  moveFile: t.field({
    type: File,
    description: 'Moves a file or folder. The folder above the new path must be there.',
    args: {
      userUuid: t.arg.string(USER),
      from: t.arg.string({ required: true, description: 'The present path.' }),
      to: t.arg.string({ required: true, description: 'The new path.' }),
      overwrite: t.arg.boolean({
        defaultValue: false,
        description: 'Replaces what is at the new path: a file, or an empty folder.',
      }),
    },
    resolve: (_root, args, { service, principal }) => service.moveFile(principal, args),
  }),
}));

const DeleteFilePayload = builder
  .objectRef<{ readonly deleted: boolean; readonly path: string }>('DeleteFilePayload')
  .implement({
    description: 'The result of `deleteFile`.',
    fields: (t) => ({
      deleted: t.exposeBoolean('deleted', { description: 'Whether something was there.' }),
      path: t.exposeString('path', { description: 'The path from the call.' }),
    }),
  });

builder.mutationField('deleteFile', (t) =>
  t.field({
    type: DeleteFilePayload,
    description:
      'Deletes a file, a link, or a folder with all that is in it. Deleting what is not there succeeds with `deleted: false`.',
    args: {
      userUuid: t.arg.string(USER),
      path: t.arg.string({ required: true, description: 'The path.' }),
      ifMatch: t.arg.string({
        description:
          'Deletes it only in this version: an `etag`, or several with commas between them. Otherwise the error is PRECONDITION_FAILED. A link has its own version and that of what it leads to.',
      }),
    },
    resolve: async (_root, { userUuid, path, ifMatch }, { service, principal }) => ({
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
