import { McpServer } from '@modelcontextprotocol/server';
import type { DoorSettings } from '../openDoor.ts';
import type { McpCall } from './mcpCall.ts';
import { registerOutputResources } from './outputResources.ts';
import { allowedBy } from './tools/allowed.ts';
import { executeCode } from './tools/executeCode.ts';
import { getExecution, interruptExecution } from './tools/executions.ts';
import { listFiles, readFile, writeFile } from './tools/files.ts';
import { runCommand } from './tools/runCommand.ts';
import { releaseSession, restartSession } from './tools/sessions.ts';

const SERVER = { name: 'cellhouse', title: 'Cellhouse', version: '1.0.0' } as const;

/** What a host may put into a model's system prompt. */
const instructionsFor = (
  network: string,
) => `Cellhouse runs Python code and shell commands in a container of its own for each session. ${network}
Pass the session_id of a result to later calls to keep variables, imports and files. Begin another session only for unrelated work, and end one with release_session when it is done.
Show figures with matplotlib (plt.show()): they come back as images.
A result with status "running" is no failure: call get_execution with its execution_id. Keep printed output short: long output is cut in the middle.`;

/** Lists never change while a gateway runs, and are the same for all callers. */
const LISTS = { ttlMs: 300_000, cacheScope: 'public' } as const;

/** A maker of servers, each of which answers one request. The tools are made once, for this installation. */
export function createServerMaker(settings: DoorSettings): (call: McpCall) => McpServer {
  const allowed = allowedBy(settings);
  const instructions = instructionsFor(allowed.network);
  /** In the order in which hosts list them. */
  const tools = [
    executeCode(allowed),
    runCommand(allowed),
    getExecution,
    interruptExecution,
    restartSession,
    releaseSession,
    listFiles,
    readFile,
    writeFile,
  ];
  return (call) => {
    const server = new McpServer(SERVER, {
      instructions,
      capabilities: { tools: { listChanged: false }, resources: { listChanged: false } },
      cacheHints: {
        'tools/list': LISTS,
        'resources/list': LISTS,
        'resources/templates/list': LISTS,
      },
    });
    for (const tool of tools) tool.register(server, call);
    registerOutputResources(server, call);
    return server;
  };
}
