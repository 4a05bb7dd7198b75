/**
 * The two encodings of messages in WebSocket frames
 * (https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html). The default is a text frame of
 * JSON. With the subprotocol {@link V1_PROTOCOL}, it is a binary frame that begins with the offsets of its parts.
 */
import { jsonText } from '../../../domain/exactJson.ts';
import { isFields } from '../../shared/fields.ts';
import { type Message, MessageError, type Request, readMessage } from './message.ts';

export const V1_PROTOCOL = 'v1.kernel.websocket.jupyter.org';

/** Channel, header, parent header, metadata and content. Buffers follow them. */
const PARTS = 5;
const WORD_BYTES = 8;
const LEGACY_WORD_BYTES = 4;
/** Most offsets in a frame. Only widgets send buffers, a few with each message. */
const MAX_OFFSETS = 1_024;

/** Encodes and decodes the messages of one connection. */
export interface Frames {
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
  if (!isFields(message)) throw new MessageError('The message must be an object.');
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
