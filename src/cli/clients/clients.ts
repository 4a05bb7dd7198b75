/** What to paste into each client of a door: its address and its token are the only things that a user changes. */
import type { ServedDoor } from '../../domain/token.ts';
import type { At, ClientLines } from './clientLines.ts';
import { E2B_CLIENTS } from './e2bClients.ts';
import { JUPYTER_CLIENTS } from './jupyterClients.ts';
import { MCP_CLIENTS } from './mcpClients.ts';
import { PREDECESSOR_CLIENTS } from './predecessorClients.ts';

const CLIENTS: Readonly<Record<ServedDoor, readonly ClientLines[]>> = {
  predecessor: PREDECESSOR_CLIENTS,
  mcp: MCP_CLIENTS,
  jupyter: JUPYTER_CLIENTS,
  e2b: E2B_CLIENTS,
};

/** Where each door is, below the address of the gateway. */
const PATHS: Readonly<Record<ServedDoor, string>> = {
  predecessor: '',
  mcp: '/mcp',
  jupyter: '/jupyter',
  e2b: '/e2b',
};

/** The addresses of a door, and the lines for each client. The text contains the token. */
export function clientsText(door: ServedDoor, at: At): string {
  const path = PATHS[door];
  const addresses = `${at.url}${path}\n${at.url}/t/${at.token}${path} (for clients that can send no header)`;
  const clients = CLIENTS[door].map(({ client, lines }) => `-- ${client}\n${lines(at).trim()}\n`);
  return `== ${door}: ${addresses}\n\n${clients.join('\n')}`;
}

/** The same as a part of docs/doors/clients.md. */
export function clientsMarkdown(door: ServedDoor, at: At): string {
  const clients = CLIENTS[door].map(
    ({ client, lines }) => `**${client}**\n\n\`\`\`\n${lines(at).trim()}\n\`\`\`\n`,
  );
  return `## ${door}\n\n${clients.join('\n')}`;
}
