/**
 * The other side of the worker protocol, over a real Unix socket, saying what a test tells it to: for what a well-behaved
 * agent does only in bad luck, or never.
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
  /** Answers upgrades with this status instead, if set. */
  refuseWith: number | null;
  /** Says no hello and replays nothing, if set: the test speaks. */
  isSilent: boolean;
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
  /** Takes over the socket of an upgrade instead of answering it, if set. */
  hijack: ((socket: Duplex) => void) | null;
  /** Makes the next message (a stream of that text) and sends it to who is connected. */
  say(text: string): number;
  /** Of the last message made; 0 if none. */
  readonly lastSeq: number;
  /** Makes the next message whatever it says, as long as it says its seq. */
  append(frameOf: (seq: number) => string): number;
  /** Forgets all messages, as a new start does. */
  reboot(bootId: string): void;
  readonly isConnected: boolean;
  /** Sends anything over the current connection. */
  sendRaw(text: string | Uint8Array): void;
  /** Part of a message; the rest may never come. */
  sendFragment(text: string): void;
  /** Bytes past the WebSocket's own framing. */
  sendBytes(bytes: Uint8Array): void;
  closeWith(code: number): void;
  /** Cuts the connection without a word. */
  cut(): void;
  /** The server's end of the current connection. */
  readonly socket: WebSocket;
  /** Resolves with the next connection. */
  connected(): Promise<WebSocket>;
  /** Resolves when `received` holds at least so many frames. */
  receivedAtLeast(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Its socket is in a folder of its own, which is removed with it. */
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
      // Whoever closes before it has read this resets the connection, and nobody else listens to a socket that is upgraded.
      socket.on('error', () => socket.destroy());
      socket.end(`HTTP/1.1 ${agent.refuseWith} Refused\r\nContent-Length: 2\r\n\r\n{}`);
      bus.emit('refused');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (peer) => {
      current = peer;
      raw.set(peer, socket);
      // What a peer does that cuts us off in the middle of a word is its business.
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
