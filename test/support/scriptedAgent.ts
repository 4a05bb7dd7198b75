/**
 * The agent's side of the worker protocol over a real Unix socket, scripted by a test. It can do what a well-behaved
 * agent does rarely or never.
 */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { stream } from './frames.ts';

export interface ScriptedAgent {
  readonly socketPath: string;
  /** `after` and `epoch` of every attempt to connect, refused ones too. */
  readonly attempts: { after: number; epoch: number }[];
  /** Everything the channel has sent, parsed. */
  readonly received: Record<string, unknown>[];
  bootId: string;
  /** If set: refuses upgrades with this status. */
  refuseWith: number | null;
  /** If set: sends no hello and replays nothing, so that the test decides what is sent first. */
  isSilent: boolean;
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  /** If set: gets the socket of an upgrade, which is not answered. */
  hijack: ((socket: Duplex) => void) | null;
  /** Makes the next message (stream output with that text) and sends it to the connected peer. */
  say(text: string): number;
  /** The seq of the last message made; 0 if none. */
  readonly lastSeq: number;
  /** Makes the next message from any frame that carries the given seq. */
  append(frameOf: (seq: number) => string): number;
  /** Forgets all messages, as a restarted agent does. */
  reboot(bootId: string): void;
  readonly isConnected: boolean;
  /** Sends anything over the current connection. */
  sendRaw(text: string | Uint8Array): void;
  /** Sends part of a message; the rest may never come. */
  sendFragment(text: string): void;
  /** Sends raw bytes, without WebSocket framing. */
  sendBytes(bytes: Uint8Array): void;
  closeWith(code: number): void;
  /** Cuts the connection without a closing handshake. */
  cut(): void;
  /** The server's end of the current connection. */
  readonly socket: WebSocket;
  /** Resolves with the next connection. */
  connected(): Promise<WebSocket>;
  /** Resolves when `received` holds at least this many frames. */
  receivedAtLeast(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts an agent whose socket is in its own folder; closing the agent removes the folder. */
export async function startScriptedAgent(): Promise<ScriptedAgent> {
  const directory = mkdtempSync(join(tmpdir(), 'cellhouse-agent-'));
  const socketPath = join(directory, 'agent.sock');
  const bus = new EventEmitter();
  const raw = new WeakMap<WebSocket, Duplex>();
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  let log: { seq: number; text: string }[] = [];
  let lastSeq = 0;
  let current: WebSocket | null = null;

  const connection = (): WebSocket => {
    if (current === null) throw new Error('Nobody is connected.');
    return current;
  };
  const agent: ScriptedAgent = {
    socketPath,
    attempts: [],
    received: [],
    bootId: 'boot-1',
    refuseWith: null,
    isSilent: false,
    answer: (_request, response) => response.writeHead(404).end('{}'),
    hijack: null,
    say: (text) => agent.append((seq) => stream(text, { parent: 'p', seq, at: 1 })),
    get lastSeq() {
      return lastSeq;
    },
    append: (frameOf) => {
      lastSeq += 1;
      const message = { seq: lastSeq, text: frameOf(lastSeq) };
      log.push(message);
      current?.send(message.text);
      return lastSeq;
    },
    reboot: (bootId) => {
      agent.bootId = bootId;
      log = [];
      lastSeq = 0;
    },
    get isConnected() {
      return current !== null;
    },
    sendRaw: (text) => connection().send(text),
    sendFragment: (text) => connection().send(text, { fin: false }),
    sendBytes: (bytes) => void raw.get(connection())?.write(bytes),
    closeWith: (code) => connection().close(code),
    cut: () => connection().terminate(),
    get socket() {
      return connection();
    },
    connected: async () => (await once(bus, 'connected'))[0] as WebSocket,
    receivedAtLeast: async (count) => {
      while (agent.received.length < count) await once(bus, 'received');
    },
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => agent.answer(request, response, body));
  });
  server.on('upgrade', (request, socket, head) => {
    const { searchParams } = new URL(request.url ?? '', 'http://agent');
    const after = Number(searchParams.get('after'));
    agent.attempts.push({ after, epoch: Number(searchParams.get('epoch')) });
    if (agent.hijack !== null) {
      agent.hijack(socket);
      return;
    }
    if (agent.refuseWith !== null) {
      // A peer that closes before it has read this resets the connection, and Node handles no errors of upgraded
      // sockets.
      socket.on('error', () => socket.destroy());
      socket.end(`HTTP/1.1 ${agent.refuseWith} Refused\r\nContent-Length: 2\r\n\r\n{}`);
      bus.emit('refused');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (peer) => {
      current = peer;
      raw.set(peer, socket);
      // A peer may cut the connection in the middle of a frame.
      peer.on('error', () => peer.terminate());
      peer.on('message', (data) => {
        agent.received.push(JSON.parse(String(data)) as Record<string, unknown>);
        bus.emit('received');
      });
      peer.on('close', () => {
        if (current === peer) current = null;
      });
      if (!agent.isSilent) greet(peer, after);
      bus.emit('connected', peer);
    });
  });
  const greet = (peer: WebSocket, after: number): void => {
    log = log.filter(({ seq }) => seq > after);
    const firstSeq = log[0]?.seq ?? lastSeq + 1;
    const hello = { boot_id: agent.bootId, first_seq: firstSeq, last_seq: lastSeq };
    peer.send(JSON.stringify({ hello: { ...hello, kernel_generation: 1 } }));
    for (const { text } of log) peer.send(text);
  };

  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return agent;
}

// The HTTP requests of gateways to a scripted agent.

interface HttpCall {
  readonly path: string;
  readonly body: {
    readonly msg_id?: string;
    readonly request_id?: string;
    readonly context_id?: string;
    readonly working_directory?: string | null;
    readonly offset?: number;
    readonly base64?: string;
    readonly close?: boolean;
  };
}

/** An answer of the agent that refuses the request. */
export class Refusal {
  readonly error: string;
  readonly status: number;
  constructor(status: number, error: string) {
    this.status = status;
    this.error = error;
  }
}

/** Records the HTTP requests to the agent, and answers each with the result of `answer`. Null: it gets no answer. */
export function recordCalls(
  agent: ScriptedAgent,
  answer: (call: HttpCall) => unknown | null,
): { readonly calls: HttpCall[]; atLeast(count: number): Promise<void> } {
  const calls: HttpCall[] = [];
  const waiting = new Set<() => void>();
  agent.answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const call = { path: request.url ?? '', body: JSON.parse(body) as HttpCall['body'] };
    calls.push(call);
    for (const wake of waiting) wake();
    const given = answer(call);
    if (given instanceof Refusal) response.statusCode = given.status;
    if (given !== null) response.end(JSON.stringify(given));
  };
  return {
    calls,
    atLeast: async (count) => {
      while (calls.length < count) {
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
        });
      }
    },
  };
}

// The input of executions, as an agent takes it (docs/internals/worker-protocol.md, "Input").

export interface InputAgent {
  /** All calls, in order. */
  readonly calls: readonly HttpCall[];
  /** The input that the agent has taken for the execution. */
  taken(id: string): string;
  isClosed(id: string): boolean;
  /** How many further bytes the agent takes. */
  room: number;
  /** While it is set, the agent takes input, and gives no answer. */
  isDumb: boolean;
}

interface Input {
  bytes: Buffer;
  isClosed: boolean;
}

export function takeInput(agent: ScriptedAgent): InputAgent {
  const inputs = new Map<string, Input>();
  const of = (id: string) => {
    const input = inputs.get(id) ?? { bytes: Buffer.alloc(0), isClosed: false };
    inputs.set(id, input);
    return input;
  };

  function take({ body }: HttpCall): unknown {
    const { msg_id: id = '', offset = 0, base64 = '', close } = body;
    const input = of(id);
    if (offset > input.bytes.length) return new Refusal(422, 'out_of_order');
    const sent = Buffer.from(base64, 'base64');
    const fresh = sent.subarray(input.bytes.length - offset).subarray(0, taker.room);
    if (!input.isClosed) input.bytes = Buffer.concat([input.bytes, fresh]);
    taker.room -= fresh.length;
    if (close && input.bytes.length === offset + sent.length) input.isClosed = true;
    return { known: true, accepted: input.bytes.length, closed: input.isClosed };
  }

  const { calls } = recordCalls(agent, (call) => {
    const given = take(call);
    return taker.isDumb ? null : given;
  });
  const taker: InputAgent = {
    calls,
    taken: (id) => of(id).bytes.toString('utf8'),
    isClosed: (id) => of(id).isClosed,
    room: Number.POSITIVE_INFINITY,
    isDumb: false,
  };
  return taker;
}
