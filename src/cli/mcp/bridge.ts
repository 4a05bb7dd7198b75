/**
 * Copies messages of the Model Context Protocol between a host and a gateway, in both eras of the protocol. Each
 * request of the host is an HTTP request of its own, so the bridge depends on no single gateway: after one has stopped,
 * the next request reaches another one.
 */
import type { JSONRPCMessage, JSONRPCRequest, Transport } from '@modelcontextprotocol/client';
import { cutOff, type Failure, failureOf } from './failures.ts';

export interface BridgeDeps {
  /** Where the host is. */
  readonly host: Transport;
  /** Works over HTTP. Aborting a request closes its connection, which tells the gateway that the call is cancelled. */
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
