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
  /** If set: sends no hello and replays nothing, so that the test can send what it likes. */
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
