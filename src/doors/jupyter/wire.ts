/**
 * The two encodings of messages in WebSocket frames
 * (https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html). The default is a text frame of
 * JSON. With the subprotocol {@link V1_PROTOCOL}, a message is a binary frame that begins with the offsets of its
 * parts.
 */

import { isJsonObject, jsonText } from '../../domain/exactJson.ts';
import type { Fields } from '../shared/body.ts';

// A message of Jupyter's protocol (https://jupyter-client.readthedocs.io/en/stable/messaging.html), version 5.3, as it
// crosses a WebSocket. What a client sends is hostile input: {@link readMessage} limits everything that is kept.

export type Channel = 'shell' | 'control' | 'stdin' | 'iopub';

/** Jupyter's own field names, so that a header goes back to its client as it came. */
export interface Header {
  readonly msg_id: string;
  readonly msg_type: string;
  readonly session: string;
  readonly username: string;
  /** ISO 8601. Some clients send none. */
  readonly date: string;
  readonly version: string;
}

export interface Message {
  readonly channel: Channel;
  readonly header: Header;
  /** Empty for a message that answers nothing. */
  readonly parent_header: Header | Record<string, never>;
  readonly metadata: Fields;
  readonly content: Fields;
}

/** A message of a client. Nothing uses its parent header, so it is not read. */
export type Request = Omit<Message, 'parent_header'>;

/** A frame is not a valid message. The error text is for the client, and contains nothing of the frame. */
export class MessageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MessageError';
  }
}

/**
 * Longest `msg_id`, `msg_type` and `session`. Real ids are UUIDs, some of them followed by a process id and a count.
 */
const MAX_ID_CHARS = 100;
/** Longest other text of a header. */
const MAX_HEADER_TEXT_CHARS = 256;
const MS_PER_S = 1_000;
const CHANNELS: readonly string[] = ['shell', 'control', 'stdin', 'iopub'];

/**
 * Reads the parts of a client's message. Absent parts get defaults, because clients leave out channel and metadata.
 * @throws MessageError
 */
function readMessage(parts: {
  readonly channel?: unknown;
  readonly header?: unknown;
  readonly metadata?: unknown;
  readonly content?: unknown;
}): Request {
  return {
    channel: readChannel(parts.channel),
    header: readHeader(parts.header),
    metadata: fieldsOf(parts.metadata),
    content: fieldsOf(parts.content),
  };
}

function readChannel(channel: unknown): Channel {
  if (channel === undefined || channel === null || channel === '') return 'shell';
  if (typeof channel === 'string' && CHANNELS.includes(channel)) return channel as Channel;
  throw new MessageError('The channel must be shell, control, stdin or iopub.');
}

function readHeader(header: unknown): Header {
  if (!isJsonObject(header)) throw new MessageError('The header must be an object.');
  return {
    msg_id: id(header, 'msg_id'),
    msg_type: id(header, 'msg_type'),
    session: text(header, 'session', MAX_ID_CHARS),
    username: text(header, 'username', MAX_HEADER_TEXT_CHARS),
    date: dateIn(header),
    version: text(header, 'version', MAX_HEADER_TEXT_CHARS),
  };
}

/** The date as text. Jupyter Server's gateway client, which nbclient and nbconvert use, sends seconds since 1970. */
function dateIn(header: Fields): string {
  const { date } = header;
  if (typeof date !== 'number') return text(header, 'date', MAX_HEADER_TEXT_CHARS);
  const at = new Date(date * MS_PER_S);
  return Number.isNaN(at.getTime()) ? '' : at.toISOString();
}

function id(header: Fields, name: string): string {
  const value = text(header, name, MAX_ID_CHARS);
  if (value === '') throw new MessageError(`The header needs ${name}.`);
  return value;
}

function text(header: Fields, name: string, limit: number): string {
  const value = header[name] ?? '';
  if (typeof value === 'string' && value.length <= limit) return value;
  throw new MessageError(`${name} in the header must be a string of at most ${limit} characters.`);
}

function fieldsOf(value: unknown): Fields {
  return isJsonObject(value) ? value : {};
}

export const V1_PROTOCOL = 'v1.kernel.websocket.jupyter.org';

/** Channel, header, parent header, metadata and content. Buffers follow them. */
const PARTS = 5;
const WORD_BYTES = 8;
const LEGACY_WORD_BYTES = 4;
/** Most offsets in a frame. Only widgets send buffers, a few with each message. */
const MAX_OFFSETS = 1_024;

/** Encodes and decodes the messages of one connection. */
interface Frames {
  encode(message: Message): string | Uint8Array;
  /** @throws MessageError */
  decode(frame: string | Buffer): Request;
}

/** @param protocol the subprotocol of the connection; empty if it has none */
export function framesOf(protocol: string): Frames {
  return protocol === V1_PROTOCOL
    ? { encode: encodeV1, decode: decodeV1 }
    : { encode: encodeLegacy, decode: decodeLegacy };
}

/** `msg_id` and `msg_type` are also at the top level, because some clients read them there. */
function encodeLegacy(message: Message): string {
  const { msg_id, msg_type } = message.header;
  return jsonText({ ...message, msg_id, msg_type, buffers: [] });
}

function decodeLegacy(frame: string | Buffer): Request {
  const message = parsed(typeof frame === 'string' ? frame : legacyJson(frame));
  if (!isJsonObject(message)) throw new MessageError('The message must be an object.');
  return readMessage(message);
}

/** The JSON in a binary frame, which only messages with buffers have. Nothing here takes buffers. */
function legacyJson(frame: Buffer): string {
  const count = frame.length < LEGACY_WORD_BYTES ? 0 : frame.readUInt32BE(0);
  requireCount(count, 1, frame.length, LEGACY_WORD_BYTES);
  const start = frame.readUInt32BE(LEGACY_WORD_BYTES);
  const end = count > 1 ? frame.readUInt32BE(2 * LEGACY_WORD_BYTES) : frame.length;
  return part(frame, start, end, (count + 1) * LEGACY_WORD_BYTES).toString('utf8');
}

function encodeV1({ channel, header, parent_header, metadata, content }: Message): Buffer {
  const parts = [
    Buffer.from(channel),
    ...[header, parent_header, metadata, content].map((value) => Buffer.from(jsonText(value))),
  ];
  const offsets = [WORD_BYTES * (parts.length + 2)];
  for (const { length } of parts) offsets.push((offsets.at(-1) ?? 0) + length);
  const words = [offsets.length, ...offsets].map((word) => {
    const bytes = Buffer.alloc(WORD_BYTES);
    bytes.writeBigUInt64LE(BigInt(word));
    return bytes;
  });
  return Buffer.concat([...words, ...parts]);
}

function decodeV1(frame: string | Buffer): Request {
  if (typeof frame === 'string') throw new MessageError('Frames of this subprotocol are binary.');
  const count = frame.length < WORD_BYTES ? 0 : word(frame, 0);
  requireCount(count, PARTS + 1, frame.length, WORD_BYTES);
  const headBytes = (count + 1) * WORD_BYTES;
  const [channel, ...rest] = Array.from({ length: PARTS }, (_, nth) =>
    part(frame, word(frame, nth + 1), word(frame, nth + 2), headBytes).toString('utf8'),
  );
  const [header, _parentHeader, metadata, content] = rest.map(parsed);
  return readMessage({ channel, header, metadata, content });
}

/** Reads an offset. One that is too large for an exact number is rounded, but it is beyond every frame anyway. */
function word(frame: Buffer, nth: number): number {
  return Number(frame.readBigUInt64LE(nth * WORD_BYTES));
}

function requireCount(count: number, least: number, frameBytes: number, wordBytes: number): void {
  const isThere = count >= least && count <= MAX_OFFSETS && (count + 1) * wordBytes <= frameBytes;
  if (!isThere) throw new MessageError('The frame must begin with the offsets of its parts.');
}

function part(frame: Buffer, start: number, end: number, headBytes: number): Buffer {
  if (start < headBytes || end < start || end > frame.length)
    throw new MessageError('An offset of the frame is outside it.');
  return frame.subarray(start, end);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    throw new MessageError('The message must be JSON.', { cause });
  }
}
