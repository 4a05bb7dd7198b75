/**
 * Writes `./docs/use/errors.md`, or with `--check` compares it and ends with 1 if it differs:
 * `node dist/schema/printErrors.js [--check]`.
 */

import { writeOrCheck } from '../process/generatedFile.ts';
import { ERROR_CODES } from './errorCode.ts';

const FILE = 'docs/use/errors.md';

const INTRODUCTION = `# Errors

\`extensions.code\` of a GraphQL error is one of these. Codes are stable, and new ones can be added
([schema-policy.md](schema-policy.md)). The schema has them, too, as the enum \`ErrorCode\`. If
\`extensions.retryAfterMs\` is present, wait that long before you retry. [errors-and-limits.md](errors-and-limits.md)
says after which errors the code may have run, and when to repeat a call.

This page is made from the declarations in \`src/schema/errorCode.ts\`. After a change there, run
\`npm run errors\`.

| code | meaning | what to do | retry |
| --- | --- | --- | --- |
`;

const rows = Object.entries(ERROR_CODES).map(
  ([code, { meaning, todo, mayRetry }]) =>
    `| \`${code}\` | ${meaning} | ${todo} | ${mayRetry ? 'yes' : 'no'} |`,
);
const printed = `${INTRODUCTION}${rows.join('\n')}\n`;

await writeOrCheck(FILE, printed, 'npm run errors');
