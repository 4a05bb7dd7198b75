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

/** @param declared the type of the argument @param beside what else the call needs */
const sendInput = (
  argument: string,
  { declared, beside }: { readonly declared: string; readonly beside: string },
  bad: readonly BadValue[],
) =>
  rows(
    `Mutation.sendInput(${argument}:)`,
    `mutation ($value: ${declared}) { sendInput(${beside}, ${argument}: $value) { offset } }`,
    bad,
  );
const resize = (argument: 'columns' | 'rows') =>
  rows(
    `Mutation.resizeTerminal(${argument}:)`,
    `mutation ($value: Int!) { resizeTerminal(executionId: "a", ${argument === 'rows' ? 'columns' : 'rows'}: 1, ${argument}: $value) }`,
    badSides(argument),
  );

export const INPUT_REFUSALS: readonly Refusal[] = [
  ...terminal('columns'),
  ...terminal('rows'),
  ...sendInput('executionId', { declared: 'ID!', beside: 'text: "a"' }, [MISSING, ...BAD_IDS]),
  ...sendInput('offset', { declared: 'Int', beside: 'executionId: "a", text: "a"' }, BAD_OFFSETS),
  ...sendInput('text', { declared: 'String', beside: 'executionId: "a"' }, [
    { what: 'is empty', value: '', field: 'text' },
    { what: 'is missing, like base64', value: undefined, field: 'text' },
    { what: 'holds a lone surrogate', value: 'a\ud800', field: 'text' },
    {
      what: 'is too long',
      value: 'a'.repeat(LIMITS.inputCallBytes + 1),
      field: 'text',
      limit: LIMITS.inputCallBytes,
    },
    { what: 'is no text', value: 7 },
  ]),
  ...sendInput('base64', { declared: 'String', beside: 'executionId: "a"' }, [
    { what: 'is not padded', value: 'YQ', field: 'base64' },
    {
      what: 'is too long',
      value: Buffer.alloc(LIMITS.inputCallBytes + 1).toString('base64'),
      field: 'base64',
      limit: LIMITS.inputCallBytes,
    },
  ]),
  ...sendInput('base64', { declared: 'String', beside: 'executionId: "a", text: "a"' }, [
    { what: 'is given beside text', value: 'YQ==', field: 'base64' },
  ]),
  ...sendInput('close', { declared: 'Boolean', beside: 'executionId: "a", text: "a"' }, BAD_FLAGS),
  ...rows(
    'Mutation.resizeTerminal(executionId:)',
    'mutation ($value: ID!) { resizeTerminal(executionId: $value, columns: 1, rows: 1) }',
    [MISSING, ...BAD_IDS],
  ),
  ...resize('columns'),
  ...resize('rows'),
];
