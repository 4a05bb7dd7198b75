/**
 * Notes when a gateway reads from its sockets and writes to them. Loaded into its process before the program
 * (`NODE_OPTIONS=--import=...`), so that nothing of `src` knows of it. At {@link TRACE_SIGNAL} the notes are written to the
 * file that {@link TRACE_FILE} names, whole or not at all.
 *
 * A write counts from when it is handed to the socket, so that its system call belongs to what comes after it.
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

/** Some 20 of each execute; a trace that nobody asks for must not fill the memory. */
const MAX_NOTES = 200_000;
const notes: Note[] = [];
/** Null: not one of those that count. */
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

// Node's HTTP server reads past the stream: this is when it has the head of a request.
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

/** By the first words to it. */
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

/** The wall clock, which is read in whole milliseconds, in the moment when it is a whole one. */
function tickOfWallClock(): number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return now;
}

/** Milliseconds since the epoch at which the agent had the messages that begin in these bytes. */
function timesIn(bytes: unknown): number[] {
  if (!Buffer.isBuffer(bytes)) return [];
  const found = bytes.toString('latin1').matchAll(/\{"seq":\d+,"at":([\d.]+),/g);
  return [...found].map(([, at]) => Number(at));
}
