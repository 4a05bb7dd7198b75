/** `cellhouse mcp`: a bridge from stdio to a gateway's MCP. */
import {
  type JSONRPCMessage,
  type JSONRPCRequest,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type Transport,
} from '@modelcontextprotocol/client';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { parseOptions } from './commandLine.ts';
import { addressOf, type GatewayAddress, tokenIn } from './gatewayClient.ts';

const text = { type: 'string' } as const;
const OPTIONS = { url: text, 'token-file': text };

/**
 * Parses the words after `cellhouse mcp`, and returns the gateway to call.
 * @throws Error that says what is wrong
 */
export function mcpArguments(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): GatewayAddress {
  const { values } = parseOptions(words, { options: OPTIONS });
  const given = values as Readonly<Record<string, string | undefined>>;
  return {
    url: addressOf(given.url, env),
    token: tokenIn(given['token-file'], env),
  };
}

// The errors that a host gets for requests that no gateway has answered.

/** The error of an answer in JSON-RPC. */
export interface Failure {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** None of the protocol's own codes fits. */
const SERVER_ERROR = -32_000;
/** The error codes that say that no connection was made, so nothing was sent. */
const NOT_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];
const UNKNOWN_EFFECT = 'Whether the call had an effect is not known.';
const REFUSAL = z.object({
  error: z.object({ code: z.number().int(), message: z.string(), data: z.unknown() }),
});

/** For a request whose answer ended before its result. */
export function cutOff(): Failure {
  return failure(`The gateway closed the connection before it answered. ${UNKNOWN_EFFECT}`);
}

/** For a request that the HTTP transport could not complete. @param error what it threw */
export function failureOf(error: unknown): Failure {
  if (error instanceof SdkHttpError) return mcpFailureOf(error);
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  const code = String(cause?.code ?? '');
  if (NOT_SENT.includes(code)) return failure(`The gateway cannot be reached (${code}).`);
  const what = cause === undefined ? messageOf(error) : messageOf(cause);
  return failure(`The connection to the gateway failed (${what}). ${UNKNOWN_EFFECT}`);
}

/** The gateway's own error, if a gateway has answered. */
function mcpFailureOf({ status, data: { text } }: SdkHttpError): Failure {
  const refusal = REFUSAL.safeParse(parsed(text));
  if (refusal.success) return refusal.data.error;
  return failure(`What answers at this address is no gateway: HTTP ${status}.`);
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}

function failure(message: string): Failure {
  return { code: SERVER_ERROR, message };
}

// Copies messages of the Model Context Protocol between a host and a gateway, in both eras of the protocol. Each
// request of the host is an HTTP request of its own, so the bridge depends on no single gateway: after one has stopped,
// the next request reaches another one.

export interface BridgeDeps {
  /** The connection to the host. */
  readonly host: Transport;
  /**
   * The connection to the gateway, over HTTP. Aborting a request closes its connection, which tells the gateway that
   * the call is cancelled.
   */
  readonly gateway: Transport;
  /** Shows the user a problem that cannot be reported as the answer to a request. */
  readonly say: (line: string) => void;
}

interface Running {
  readonly method: string;
  readonly cancel: AbortController;
}

/** Copies until the host closes its side, then cancels the open requests. Every request is answered or cancelled. */
export async function bridge({ host, gateway, say }: BridgeDeps): Promise<void> {
  const running = new Map<unknown, Running>();
  const ended = new Promise<void>((resolve) => {
    host.onclose = resolve;
  });

  /** Sends the host a message. If that fails, the host has gone, and `onclose` ends everything. */
  const tell = (message: JSONRPCMessage) => void host.send(message).catch(() => undefined);

  async function forward(request: JSONRPCRequest): Promise<void> {
    const { id, method } = request;
    const own = { method, cancel: new AbortController() };
    running.set(id, own);
    const fail = (error: Failure) => {
      if (running.get(id) !== own) return;
      running.delete(id);
      tell({ jsonrpc: '2.0', id, error });
    };
    const options = {
      requestSignal: own.cancel.signal,
      onRequestStreamEnd: () => fail(cutOff()),
    };
    await gateway.send(request, options).catch((error: unknown) => fail(failureOf(error)));
  }

  host.onmessage = (message) => {
    if (!('method' in message)) void gateway.send(message).catch(() => undefined);
    else if ('id' in message) void forward(message);
    else if (message.method !== 'notifications/cancelled')
      void gateway.send(message).catch(() => undefined);
    else {
      const id = message.params?.requestId;
      running.get(id)?.cancel.abort();
      running.delete(id);
    }
  };
  gateway.onmessage = (message) => {
    if (!('method' in message)) {
      const request = running.get(message.id);
      if (!running.delete(message.id)) return;
      if (request?.method === 'initialize') agree(gateway, message);
    }
    tell(message);
  };
  gateway.onerror = (error) => say(failureOf(error).message);
  host.onerror = ({ message }) => say(`The host: ${message}`);

  await gateway.start();
  await host.start();
  await ended;
  for (const { cancel } of running.values()) cancel.abort();
  await gateway.close();
}

/** In the former era, each request after `initialize` has a header with the revision that `initialize` agreed on. */
function agree(gateway: Transport, answer: JSONRPCMessage): void {
  if ('result' in answer && typeof answer.result.protocolVersion === 'string')
    gateway.setProtocolVersion?.(answer.result.protocolVersion);
}

/** More than the largest file that MAX_FILE_TEXT_BYTES allows, in base64. */
const MAX_MESSAGE_BYTES = 100_000_000;

/**
 * `cellhouse mcp`: connects hosts that only start commands to the gateway's MCP door. Standard output contains only
 * messages of the protocol. The command ends when standard input ends.
 * @param words the arguments after `mcp`
 */
export async function mcp(words: readonly string[]): Promise<void> {
  const { url, token } = mcpArguments(words, process.env);
  await bridge({
    host: new StdioServerTransport(process.stdin, process.stdout, {
      maxBufferSize: MAX_MESSAGE_BYTES,
    }),
    gateway: new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
    }),
    say: (line) => console.error(`cellhouse mcp: ${line}`),
  });
}
