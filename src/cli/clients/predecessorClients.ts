import type { ClientLines } from './clientLines.ts';

/** Programs that call the system that Cellhouse replaces. */
export const PREDECESSOR_CLIENTS: readonly ClientLines[] = [
  {
    client: 'Any program of before',
    lines: ({ url, token }) => `GATEWAY_URL = "${url}"
HEADERS = {"X-Auth-Token": "${token}"}`,
  },
  {
    client: 'A shell',
    lines: ({ url, token }) => `curl -s ${url}/execute -H 'X-Auth-Token: ${token}' \\
  -H 'Content-Type: application/json' -d '{"user_uuid": "ann", "code": "6 * 7"}'`,
  },
];
