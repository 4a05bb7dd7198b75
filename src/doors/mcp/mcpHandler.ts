import {
  createMcpHandler,
  type McpHttpHandler,
  type McpRequestContext,
  McpServer,
} from '@modelcontextprotocol/server';
import type { DoorCall, DoorDeps, DoorSettings } from '../openDoor.ts';
import { registerOutputResources } from './outputResources.ts';
import type { McpCall } from './session.ts';
import { allowedBy } from './tools/allowed.ts';
import { executeCode, getExecution, interruptExecution, runCommand } from './tools/executions.ts';
import { listFiles, readFile, writeFile } from './tools/files.ts';
import { releaseSession, restartSession } from './tools/sessions.ts';

/** The first revision with links to resources. */
const LINKS_SINCE = '2025-06-18';

export type MakeServer = (call: McpCall) => McpServer;

/** Answers one request. @param body the parsed body. Undefined: the body is not JSON */
export interface McpHandler {
  fetch(request: Request, body: unknown, call: DoorCall): ReturnType<McpHttpHandler['fetch']>;
}

/** Makes a server for each request, for both eras of the protocol: so every gateway can answer every request. */
export function createHandler(
  deps: DoorDeps,
  makeServer: MakeServer = createServerMaker(deps.settings),
): McpHandler {
  const { fetch } = createMcpHandler(
    (context) => {
      return makeServer(mcpCallOf(deps, context, callOf(context)));
    },
    {
      legacy: 'stateless',
      responseMode: 'auto',
      // This reports refused requests and clients that went away. Neither is a failure of the gateway.
      onerror: (err) => deps.logger.debug({ err }, 'An MCP request was not carried out.'),
    },
  );
  return {
    fetch: (request, parsedBody, call) =>
      fetch(request, {
        // The handler passes this object to the factory. The handler itself uses only the scopes.
        authInfo: { token: '', clientId: call.principal.tokenId, scopes: [], extra: { call } },
        ...(parsedBody !== undefined && { parsedBody }),
      }),
  };
}

function callOf({ authInfo }: McpRequestContext): DoorCall {
  const call = authInfo?.extra?.call;
  if (call === undefined) throw new Error('An MCP request came without its call.');
  return call as DoorCall;
}

function mcpCallOf(deps: DoorDeps, { era }: McpRequestContext, call: DoorCall): McpCall {
  const { service, principal, gone, stopping, req } = call;
  const version = req.headers['mcp-protocol-version'];
  const knowsLinks = era === 'modern' || (typeof version === 'string' && version >= LINKS_SINCE);
  return { service, principal, gone, stopping, headers: req.headers, knowsLinks, deps };
}

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
