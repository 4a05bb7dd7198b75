import type { ClientLines } from './clientLines.ts';

/** E2B's SDKs, and programs that use them. */
export const E2B_CLIENTS: readonly ClientLines[] = [
  {
    client: '`@e2b/code-interpreter` and `e2b` (npm), `e2b-code-interpreter` (Python)',
    lines: ({ url, token }) => `export E2B_API_KEY=${token}
export E2B_API_URL=${url}/e2b
export E2B_SANDBOX_URL=${url}/e2b`,
  },
];
