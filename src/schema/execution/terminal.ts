import { builder } from '../builder.ts';

/** The size of a terminal that a command gets. */
export const TerminalInput = builder.inputType('TerminalInput', {
  description: 'The size of a terminal, in characters.',
  fields: (t) => ({
    columns: t.int({ required: true, description: 'The length of a line: 1 to 65,535.' }),
    rows: t.int({ required: true, description: 'The number of lines: 1 to 65,535.' }),
  }),
});
