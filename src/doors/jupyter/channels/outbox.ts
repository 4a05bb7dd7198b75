/** Sends the messages of one connection, in the order of the calls. */
import type { DoorSocket } from '../../doorSocket.ts';
import { type MessageFacts, messageOf, type Sent } from '../messages/messages.ts';
import { framesOf } from '../wire/frames.ts';
import type { Message } from '../wire/message.ts';

/** A message to be sent. */
export interface Outgoing extends Omit<MessageFacts, 'session'> {
  readonly sent: Sent;
}

export interface Outbox {
  /** Resolves when the operating system has taken it, or the connection is closed. */
  send(outgoing: Outgoing): Promise<void>;
  /** From now on, the messages are those of a fresh kernel. */
  restarted(kernelRestarts: number): void;
}

export interface OutboxDeps {
  readonly socket: DoorSocket;
  readonly kernelId: string;
  readonly kernelRestarts: number;
  /** Longest message that its client takes. */
  readonly maxMessageBytes: number;
}

/** The limit for a client that does not identify itself. Python's `websockets`, as in Open WebUI, closes at more. */
export const PLAIN_CLIENT_BYTES = 1024 * 1024;

export function createOutbox(deps: OutboxDeps): Outbox {
  const { socket, kernelId, maxMessageBytes } = deps;
  const { encode } = framesOf(socket.protocol);
  let session = sessionOf(kernelId, deps.kernelRestarts);
  return {
    send: async ({ sent, ...facts }) => {
      if (!socket.isOpen) return;
      const message = messageOf(sent, { ...facts, session });
      const frame = encode(message);
      const isTooLarge = Buffer.byteLength(frame) > maxMessageBytes;
      await socket.send(isTooLarge ? encode(shortened(message, maxMessageBytes)) : frame);
    },
    restarted: (kernelRestarts) => {
      session = sessionOf(kernelId, kernelRestarts);
    },
  };
}

/** The same at every gateway until the kernel is replaced. */
function sessionOf(kernelId: string, kernelRestarts: number): string {
  return `${kernelId}-${kernelRestarts}`;
}

/**
 * Replaces displayed data, or the traceback of an error, with a note. The text of an error is sent whole, because
 * programs read it. Nothing else is large: streams come in pieces, and cells are limited.
 */
function shortened(message: Message, limit: number): Message {
  const { content } = message;
  const note = (what: string) =>
    `[Cellhouse: ${what} larger than the ${limit} bytes that this client takes in one message.]`;
  if (Array.isArray(content.traceback))
    return { ...message, content: { ...content, traceback: [note('this traceback is')] } };
  if (!('data' in content)) return message;
  const types = Object.keys((content.data ?? {}) as object).join(', ');
  const data = { 'text/plain': note(`this output (${types}) is`) };
  return { ...message, content: { ...content, data, metadata: {} } };
}
