/** Bad input for `sendInput` and terminals: rows of refusals.ts. */
import {
  BAD_FLAGS,
  BAD_IDS,
  BAD_OFFSETS,
  type BadValue,
  badSides,
  LIMITS,
  MISSING,
} from './badValues.ts';
import { type Refusal, rows } from './refusal.ts';

const SUBMIT = 'mutation ($value: ExecuteInput!) { submit(input: $value) { status } }';

const terminal = (field: 'columns' | 'rows') =>
  rows(`TerminalInput.${field}`, SUBMIT, badSides(`pty.${field}`), {
    given: (value) => ({
      userUuid: 'someone',
      code: '1',
      language: 'BASH',
      pty: { columns: 80, rows: 24, [field]: value },
    }),
  });

const SEND = 'mutation ($value: SendInputInput!) { sendInput(input: $value) { offset } }';

const sendInput = (field: string, bad: readonly BadValue[]) =>
  rows(`SendInputInput.${field}`, SEND, bad, {
    given: (value) => ({ executionId: 'a', data: { text: 'a' }, [field]: value }),
  });
/** The only field of the content. */
const content = (field: 'text' | 'base64', bad: readonly BadValue[]) =>
  rows(`ContentInput.${field}`, SEND, bad, {
    given: (value) => ({ executionId: 'a', data: { [field]: value } }),
  });

const RESIZE =
  'mutation ($value: ResizeTerminalInput!) { resizeTerminal(input: $value) { resized } }';
const resize = (field: string, bad: readonly BadValue[]) =>
  rows(`ResizeTerminalInput.${field}`, RESIZE, bad, {
    given: (value) => ({ executionId: 'a', columns: 1, rows: 1, [field]: value }),
  });

export const INPUT_REFUSALS: readonly Refusal[] = [
  ...terminal('columns'),
  ...terminal('rows'),
  ...rows('Mutation.sendInput(input:)', SEND, [MISSING]),
  ...sendInput('executionId', [MISSING, ...BAD_IDS]),
  ...sendInput('offset', BAD_OFFSETS),
  ...sendInput('data', [
    { what: 'is missing, and nothing is closed', value: undefined, field: 'text' },
    { what: 'is neither text nor base64', value: {} },
    { what: 'is both text and base64', value: { text: 'a', base64: 'YQ==' } },
    { what: 'is null as text', value: { text: null } },
  ]),
  ...content('text', [
    { what: 'is empty', value: '', field: 'text' },
    { what: 'holds a lone surrogate', value: 'a\ud800', field: 'text' },
    {
      what: 'is too long',
      value: 'a'.repeat(LIMITS.inputCallBytes + 1),
      field: 'text',
      limit: LIMITS.inputCallBytes,
    },
    { what: 'is no text', value: 7 },
  ]),
  ...content('base64', [
    { what: 'is not padded', value: 'YQ', field: 'base64' },
    {
      what: 'is too long',
      value: Buffer.alloc(LIMITS.inputCallBytes + 1).toString('base64'),
      field: 'base64',
      limit: LIMITS.inputCallBytes,
    },
  ]),
  ...sendInput('close', BAD_FLAGS),
  ...rows('Mutation.resizeTerminal(input:)', RESIZE, [MISSING]),
  ...resize('executionId', [MISSING, ...BAD_IDS]),
  ...resize('columns', badSides('columns')),
  ...resize('rows', badSides('rows')),
];
