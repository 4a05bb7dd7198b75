import { McpServer } from '@modelcontextprotocol/server';
import type { McpCall } from './mcpCall.ts';
import { registerOutputResources } from './outputResources.ts';
import { executeCode } from './tools/executeCode.ts';
import { getExecution, interruptExecution } from './tools/executions.ts';
import { listFiles, readFile, writeFile } from './tools/files.ts';
import { runCommand } from './tools/runCommand.ts';
import { releaseSession, restartSession } from './tools/sessions.ts';
import { networkFor, type Tool } from './tools/tool.ts';

/** In the order in which hosts list them. */
const TOOLS: readonly Tool[] = [
  executeCode,
  runCommand,
  getExecution,
  interruptExecution,
  restartSession,
  releaseSession,
  listFiles,
  readFile,
  writeFile,
];

const SERVER = { name: 'cellhouse', title: 'Cellhouse', version: '1.0.0' } as const;

/** What a host may put into a model's system prompt. NETWORK stands for {@link networkFor}. */
const INSTRUCTIONS = `Cellhouse runs Python code and shell commands in a container of its own for each session. NETWORK
Pass the session_id of a result to later calls to keep variables, imports and files. Begin another session only for unrelated work, and end one with release_session when it is done.
Show figures with matplotlib (plt.show()): they come back as images.
A result with status "running" is no failure: call get_execution with its execution_id. Keep printed output short: long output is cut in the middle.`;

/** Lists never change while a gateway runs, and are the same for all callers. */
const LISTS = { ttlMs: 300_000, cacheScope: 'public' } as const;

/** The server that answers one request. */
export function createMcpServer(call: McpCall): McpServer {
  const server = new McpServer(SERVER, {
    instructions: INSTRUCTIONS.replace('NETWORK', networkFor(call.deps.settings)),
    capabilities: { tools: { listChanged: false }, resources: { listChanged: false } },
    cacheHints: {
      'tools/list': LISTS,
      'resources/list': LISTS,
      'resources/templates/list': LISTS,
    },
  });
  for (const tool of TOOLS) tool.register(server, call);
  registerOutputResources(server, call);
  return server;
}
