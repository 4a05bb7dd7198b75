import {
  createMcpHandler,
  type McpHttpHandler,
  type McpRequestContext,
  type McpServer,
} from '@modelcontextprotocol/server';
import type { DoorCall, DoorDeps } from '../openDoor.ts';
import { createServerMaker } from './createMcpServer.ts';
import type { McpCall } from './mcpCall.ts';

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
