/** The official conformance scenarios, on the product's HTTP stack. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { createMcpDoor } from '../../src/doors/mcp/mcpDoor.ts';
import { createServerMaker } from '../../src/doors/mcp/mcpHandler.ts';
import { newId } from '../../src/process/newId.ts';
import { addFixtures } from '../support/mcpConformance/fixtures.ts';
import { memoryService } from '../support/memoryService.ts';
import { secretOf, tokensFor } from '../support/testDoor.ts';
import { startTransport } from '../support/transportServer.ts';

const SUPPORT = new URL('../support', import.meta.url).pathname;
const PROGRAM = new URL(
  '../../node_modules/@modelcontextprotocol/conformance/dist/index.js',
  import.meta.url,
).pathname;
/** A run takes a few seconds, on a busy machine many. */
const LIMIT_MS = 80_000;
const results = mkdtempSync(join(tmpdir(), 'ch-mcp-'));
afterAll(() => rmSync(results, { recursive: true }));

const deps = {
  settings: loadConfig({ SOCKET_DIR: '/run/x' }),
  logger: pino({ level: 'silent' }),
  newId,
  newErrorId: newId,
  now: () => new Date(),
};

async function url(): Promise<string> {
  const makeServer = createServerMaker(deps.settings);
  const door = createMcpDoor(deps, (call) => {
    const server = makeServer(call);
    addFixtures(server);
    return server;
  });
  const { tokenCache } = tokensFor({ mine: 'mcp' });
  const { port } = await startTransport(memoryService(), { doors: [door], tokenCache });
  return `http://127.0.0.1:${port}/t/${secretOf('mine')}/mcp`;
}

/** What the program prints, and its exit code: 0 if exactly the listed scenarios fail. */
async function conformance(revision: string): Promise<{ code: number; printed: string }> {
  const args = [
    ...['--import', `${SUPPORT}/conformanceOnNode20.mjs`, PROGRAM, 'server', '--url', await url()],
    ...['--requirements', revision, '--output-dir', results],
    ...['--expected-failures', join(SUPPORT, 'mcpConformance', `expectedFailures-${revision}.yml`)],
  ];
  return await new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout: LIMIT_MS }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, printed: stdout + stderr }),
    );
  });
}

it.each([
  ['2025-11-25', '✓ server-initialize: 3 passed, 0 failed'],
  ['2026-07-28', '✓ server-stateless: 28 passed, 0 failed'],
])(
  'the door meets the requirements of revision %s, except for the listed scenarios',
  async (revision, pinned) => {
    const { code, printed } = await conformance(revision);
    const summary = printed.slice(printed.indexOf('=== SUMMARY ==='));
    for (const line of ['✓ tools-call-with-progress', '✓ dns-rebinding-protection', pinned])
      expect(summary).toContain(line);
    expect(code, summary).toBe(0);
  },
);
