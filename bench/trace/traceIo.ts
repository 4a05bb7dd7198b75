/**
 * Records when a gateway reads from its sockets and writes to them. It is loaded into the gateway's process before the
 * program (`NODE_OPTIONS=--import=...`), so that `src` needs no code for it. At {@link TRACE_SIGNAL} the notes are
 * written atomically to the file that {@link TRACE_FILE} names.
 *
 * The time of a write is when it is handed to the socket, so its system call counts as part of the next stage.
 */
import { subscribe } from 'node:diagnostics_channel';
import { renameSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type Peer, sharedNowMs, TRACE_FILE, TRACE_SIGNAL, type TraceEvent } from './trace.ts';

interface Note {
  /** `performance.now()` */
  readonly at: number;
  readonly connection: Connection;
  readonly way: TraceEvent['way'];
  readonly bytes: unknown;
}

interface Connection {
  readonly socket: number;
  readonly peer: Peer;
}

/** An execute makes some 20 notes. The limit prevents a trace that nobody fetches from filling the memory. */
const MAX_NOTES = 200_000;
const notes: Note[] = [];
/** The known connections. Null: the connection is not traced. */
const connections = new WeakMap<Socket, Connection | null>();
let lastSocket = 0;

const { _write, _writev } = Socket.prototype;

Socket.prototype._write = function (chunk, encoding, callback) {
  if (!connections.has(this)) name(this, peerOf(String(chunk)));
  note(this, 'write', null);
  _write.call(this, chunk, encoding, callback);
};

Socket.prototype._writev = function (chunks, callback) {
  if (!connections.has(this)) name(this, peerOf(String(chunks[0]?.chunk)));
  note(this, 'write', null);
  _writev?.call(this, chunks, callback);
};

Socket.prototype.push = function (chunk, encoding) {
  if (chunk !== null) note(this, 'read', chunk);
  return Duplex.prototype.push.call(this, chunk, encoding);
};

// Node's HTTP server does not read through the stream. It emits this event when it has read the head of a request.
subscribe('http.server.request.start', (message) => {
  const { socket } = message as { socket: Socket };
  if (!connections.has(socket)) name(socket, 'http');
  note(socket, 'read', null);
});

process.on(TRACE_SIGNAL, write);

function name(socket: Socket, peer: Peer | null): void {
  lastSocket += 1;
  connections.set(socket, peer === null ? null : { socket: lastSocket, peer });
}

/** Identifies the peer by the first bytes that are sent to it. */
function peerOf(words: string): Peer | null {
  if (words.startsWith('GET ') && /\r\nupgrade: websocket\r\n/i.test(words)) return 'agent';
  const client = /application_name\0cellhouse (\w+)/.exec(words)?.[1];
  return client === 'commits' || client === 'reads' ? client : null;
}

function note(socket: Socket, way: TraceEvent['way'], bytes: unknown): void {
  const connection = connections.get(socket);
  if (!connection || notes.length >= MAX_NOTES) return;
  const isWorthKeeping = connection.peer === 'agent' && way === 'read';
  notes.push({ at: performance.now(), connection, way, bytes: isWorthKeeping ? bytes : null });
}

function write(): void {
  const file = process.env[TRACE_FILE];
  if (file === undefined) return;
  const toShared = sharedNowMs() - performance.now();
  const fromWall = sharedNowMs() - tickOfWallClock();
  const events: TraceEvent[] = notes.map(({ at, connection, way, bytes }) => ({
    at: at + toShared,
    ...connection,
    way,
    madeAt: timesIn(bytes).map((madeAt) => madeAt + fromWall),
  }));
  writeFileSync(`${file}.new`, JSON.stringify(events));
  renameSync(`${file}.new`, file);
}

/** Waits for the next whole millisecond of the wall clock, which can only be read in whole milliseconds. */
function tickOfWallClock(): number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now;
}

/** When the agent had received the messages that begin in these bytes, in milliseconds since the epoch. */
function timesIn(bytes: unknown): number[] {
  if (!Buffer.isBuffer(bytes)) return [];
  const found = bytes.toString('latin1').matchAll(/\{"seq":\d+,"at":([\d.]+),/g);
  return [...found].map(([, at]) => Number(at));
}
