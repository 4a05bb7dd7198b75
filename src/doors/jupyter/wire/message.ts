/**
 * A message of Jupyter's protocol (https://jupyter-client.readthedocs.io/en/stable/messaging.html), version 5.3, as it
 * crosses a WebSocket. What a client sends is hostile input: {@link readMessage} limits everything that is kept.
 */

import { type Fields, isFields } from '../../shared/fields.ts';

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
 * Reads the parts of a client's message. What may be absent gets its default: clients leave out channel and metadata.
 * @throws MessageError
 */
export function readMessage(parts: {
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
  if (!isFields(header)) throw new MessageError('The header must be an object.');
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
  return isFields(value) ? value : {};
}
