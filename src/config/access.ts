/** Who may call. */
import { integer } from './setting.ts';

export const ACCESS = {
  maxTokens: integer({
    name: 'MAX_TOKENS',
    text: 'How many tokens there may be that are neither revoked nor expired. Each gateway keeps them in memory.',
    fallback: 10_000,
    min: 0,
    max: 100_000,
  }),
};
