/** `sendInput` and `resizeTerminal`, for an execution that runs. */
import type { SentInput as Sent } from '../../service/execute/sendInput.ts';
import { builder } from '../builder.ts';
import { Execution } from './execution.ts';

const SentInput = builder.objectRef<Sent>('SentInput').implement({
  description: 'Where the input of a call is. A repeated call gets the same offsets.',
  fields: (t) => ({
    offset: t.exposeInt('offset', { description: 'How many bytes of input are before it.' }),
    nextOffset: t.exposeInt('nextOffset', { description: 'The offset of what is sent next.' }),
    execution: t.expose('execution', { type: Execution, description: 'The execution.' }),
  }),
});

builder.mutationFields((t) => ({
  sendInput: t.field({
    type: SentInput,
    description:
      'Sends input to an execution that was asked with `allowInput`: to the standard input of a command, to its terminal, or the answer to `input()` or `getpass()` in a cell, which is a line with its newline. Answers when the input is durable; the code gets it when it runs and reads. Input is recorded, except while the newest InputRequested asks for a password. Not possible once the execution has ended.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The execution.' }),
      offset: t.arg.int({
        description:
          'How many bytes of input are before it. Input with an offset is applied once, however often it is sent. Null: it is added at the end, each time.',
      }),
      text: t.arg.string({
        description: 'The input as text: at most 65,536 bytes in UTF-8.',
      }),
      base64: t.arg.string({
        description: 'The input as bytes in base64, instead of text: at most 65,536 bytes.',
      }),
      close: t.arg.boolean({
        defaultValue: false,
        description:
          'Whether the input ends with it, so that the code reads the end of the file. Needs neither text nor base64.',
      }),
    },
    resolve: (_root, request, { service, principal }) => service.sendInput(principal, request),
  }),
  resizeTerminal: t.boolean({
    description:
      'Gives the terminal of a command another size. The latest size wins; it is not recorded. Answers whether the command runs, and so has the size now.',
    args: {
      executionId: t.arg.id({ required: true, description: 'The execution.' }),
      columns: t.arg.int({ required: true, description: 'The length of a line: 1 to 65,535.' }),
      rows: t.arg.int({ required: true, description: 'The number of lines: 1 to 65,535.' }),
    },
    resolve: (_root, { executionId, columns, rows }, { service, principal }) =>
      service.resizeTerminal(principal, executionId, { columns, rows }),
  }),
}));
