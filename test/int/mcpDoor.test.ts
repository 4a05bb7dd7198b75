/** What the door for MCP answers to callers that are no hosts, and when something fails that nobody expected. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { createMcpDoor } from '../../src/doors/mcp/mcpDoor.ts';
import { newId } from '../../src/process/newId.ts';
import { memoryService } from '../support/memoryService.ts';
import { secretOf, tokensFor } from '../support/testDoor.ts';
import { startTransport } from '../support/transportServer.ts';

const PAGE = 'https://page.example.com';
const PATH = `/t/${secretOf('mine')}/mcp`;

async function start(parts: Parameters<typeof memoryService>[0] = {}) {
  const log: string[] = [];
  const door = createMcpDoor({
    settings: loadConfig({ SOCKET_DIR: '/run/x' }),
    logger: pino({ level: 'warn' }, { write: (line) => void log.push(line) }),
    newId,
    now: () => new Date(),
  });
  const { book: tokenBook } = tokensFor({ mine: 'mcp' });
  const config = { corsOrigins: [PAGE] };
  const started = await startTransport(memoryService(parts), { doors: [door], tokenBook, config });
  return { ...started, doorLog: log };
}

it('A client in a page of CORS_ORIGINS may send what a host sends', async () => {
  const { origin } = await start();
  const answer = await fetch(`${origin}/mcp`, { method: 'OPTIONS', headers: { Origin: PAGE } });
  const allowed = answer.headers.get('access-control-allow-headers')?.split(', ') ?? [];
  for (const header of ['authorization', 'content-type', 'mcp-protocol-version', 'x-session-id'])
    expect(allowed).toContain(header);
});
