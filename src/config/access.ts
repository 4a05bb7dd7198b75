/** Who may call. */
import { integer, text } from './setting.ts';

export const ACCESS = {
  maxTokens: integer({
    name: 'MAX_TOKENS',
    text: 'How many tokens there may be that are neither revoked nor expired. Each gateway keeps them in memory.',
    fallback: 10_000,
    min: 0,
    max: 100_000,
  }),
  auditorSeesCode: text<boolean>({
    name: 'AUDITOR_SEES_CODE',
    text: 'Whether tokens with the role AUDITOR see code, output and input. Otherwise they see only that something happened, when, and by whom.',
    fallback: 'off',
    allowed: 'on or off',
    parse: (given) => ({ on: true, off: false })[given],
  }),
};
