/** A client for each door, equally thin: one kept connection, the bytes of the wire, and a look at the result. */
import { randomUUID } from 'node:crypto';
import type { TestGateway } from '../../testkit/gateway.ts';
import type { RoundTrip } from '../contenders/codeRunner.ts';
import { httpExecute } from '../support/httpExecute.ts';
import { type Channels, openChannels } from '../support/jupyterChannels.ts';
import { keptConnection } from '../support/keptConnection.ts';

const USER = 'bench';
const CREATE = 'mutation ($input: CreateTokenInput!) { createToken(input: $input) { secret } }';

/** Makes a token of a tenant that is for this door only. @returns its secret */
export async function tokenFor({ graphql }: TestGateway, door: string): Promise<string> {
  const input = { name: door, role: 'TENANT', door: door.toUpperCase() };
  const { data, errors } = await graphql<{ createToken: { secret: string } }>(CREATE, { input });
  if (!data) throw new Error(JSON.stringify(errors));
  return data.createToken.secret;
}

/** `execute` over GraphQL. */
export function graphqlCaller(url: string, token: string): RoundTrip {
  return httpExecute({ url, token, userUuid: USER });
}

/** `POST /execute` of the predecessor. */
export function predecessorCaller(url: string, token: string): RoundTrip {
  const connection = keptConnection(url, token);
  return async (code, expected) => {
    const startedAt = performance.now();
    const answer = await connection.post('/execute', { user_uuid: USER, code });
    const tookMs = performance.now() - startedAt;
    if (JSON.parse(answer).result_text !== expected) throw new Error(answer);
    return tookMs;
  };
}

/** What hosts send with each call: the official clients of version 1 and 2 do, after they have agreed on a revision. */
const MCP_HEADERS = {
  Accept: 'application/json, text/event-stream',
  'MCP-Protocol-Version': '2025-11-25',
};

/** `tools/call` of `execute_code`, as hosts make it. */
export function mcpCaller(url: string, token: string): RoundTrip {
  const connection = keptConnection(url, token, MCP_HEADERS);
  let id = 0;
  return async (code, expected) => {
    const startedAt = performance.now();
    id += 1;
    const params = { name: 'execute_code', arguments: { code, session_id: USER } };
    const call = { jsonrpc: '2.0', id, method: 'tools/call', params };
    const answer = await connection.post('/mcp', call);
    const tookMs = performance.now() - startedAt;
    if (messageIn(answer).result?.structuredContent?.result !== expected) throw new Error(answer);
    return tookMs;
  };
}

interface McpMessage {
  readonly result?: { readonly structuredContent?: { readonly result?: unknown } };
}

/** An answer is JSON, or a stream of events whose last one has the result. */
function messageIn(answer: string): McpMessage {
  const events = answer.split('\n').filter((line) => line.startsWith('data: '));
  return JSON.parse(events.at(-1)?.slice('data: '.length) ?? answer) as McpMessage;
}

/** Starts a kernel over REST and connects to it. Cells are sent over the WebSocket. */
export async function jupyterCaller(url: string, token: string): Promise<Channels> {
  const kernels = `${url}/jupyter/api/kernels`;
  const headers = { Authorization: `token ${token}` };
  const started = await fetch(kernels, { method: 'POST', headers, body: '{"name":"python3"}' });
  const answer = await started.text();
  if (!started.ok) throw new Error(`${started.status} ${answer}`);
  const channels = `${kernels}/${JSON.parse(answer).id}/channels?session_id=${randomUUID()}`;
  return await openChannels(channels.replace('http', 'ws'), headers);
}
