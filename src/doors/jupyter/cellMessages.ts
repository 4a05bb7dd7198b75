/** Makes the messages that report what happens in a kernel. */

import type { Execution } from '../../domain/execution.ts';
import type { ExecutionNews } from '../../service/output/followContext.ts';
import type { DoorSocket } from '../openDoor.ts';
import type { Fields } from '../shared/body.ts';
import {
  type ErrorContent,
  endOfCell,
  errorContent,
  expressionsContent,
  type MessageFacts,
  messageOf,
  outputMessage,
  type Sent,
  status,
} from './messages.ts';
import { framesOf, type Header, type Message } from './wire.ts';

// Sends the messages of one connection, in the order of the calls.

/** A message to be sent. */
interface Outgoing extends Omit<MessageFacts, 'session'> {
  readonly sent: Sent;
}

export interface Outbox {
  /** Resolves when the operating system has taken the message, or when the connection is closed. */
  send(outgoing: Outgoing): Promise<void>;
  /** From now on, the messages are those of a fresh kernel. */
  restarted(kernelRestarts: number): void;
}

interface OutboxDeps {
  readonly socket: DoorSocket;
  readonly kernelId: string;
  readonly kernelRestarts: number;
  /** The longest message that the client accepts. */
  readonly maxMessageBytes: number;
}

/**
 * The limit for a client that does not identify itself. Open WebUI, for example, uses Python's `websockets`, which
 * closes the connection if a message is larger.
 */
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

/**
 * The session id in the headers of the kernel's messages. It is the same at every gateway until the kernel is replaced.
 */
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

export interface Asked {
  /** The request that the execution answers. */
  readonly header: Header;
  /**
   * Whether the client of this connection has sent the request. Only that client gets replies and requests for input.
   */
  readonly isOurs: boolean;
}

interface CellMessages {
  /**
   * The messages for one piece of news. The messages of an execution have the same ids at every gateway and for every
   * client.
   */
  of(news: ExecutionNews, asked: Asked): Outgoing[];
}

/** Must be called with the news of one context, in order. */
export function createCellMessages(): CellMessages {
  /** The last error among the outputs of the present execution. */
  let shown: ErrorContent | null = null;
  /** The results of the present execution's user expressions, which only the reply contains. */
  let expressions: Fields = {};

  return {
    of: (news, { header, isOurs }) => {
      const { execution } = news;
      const count = execution.executionCount ?? 0;
      const message = (part: string | number, sent: Sent, at: Date): Outgoing => ({
        sent,
        id: `${execution.id}_${part}`,
        at,
        parent: header,
      });
      switch (news.type) {
        case 'begun': {
          const at = execution.startedAt ?? execution.requestedAt;
          shown = null;
          expressions = {};
          const input = inputMessage(news.code, count);
          return [
            message('busy', status('busy'), at),
            // A silent cell is not shown, but what it prints is.
            ...(execution.options?.silent ? [] : [message('input', input, at)]),
          ];
        }
        case 'output': {
          const { output, seq, at } = news.item;
          if (output.kind === 'finish' || (output.kind === 'input' && !isOurs)) return [];
          if (output.kind === 'error') shown = errorContent(output);
          if (output.kind === 'expressions') {
            expressions = expressionsContent(output);
            return [];
          }
          return [message(seq, outputMessage(output, count), at)];
        }
        case 'ended': {
          const at = execution.finishedAt ?? execution.requestedAt;
          const hasBegun = execution.startedAt !== null;
          const { unshown, reply } = endOfCell(execution, {
            shown: hasBegun ? shown : null,
            expressions,
            count: replyCount(execution),
          });
          shown = null;
          return [
            ...(hasBegun ? [] : [message('busy', status('busy'), at)]),
            ...(unshown ? [message('error', errorMessage(unshown), at)] : []),
            ...(isOurs ? [message('reply', replyMessage(reply), at)] : []),
            message('idle', status('idle'), at),
          ];
        }
        default:
          return news satisfies never;
      }
    },
  };
}

/**
 * The number in the reply. A cell that is not stored in the history shows the number that the next cell will get, but
 * the reply has the number of the last stored cell, as with a stock kernel.
 */
function replyCount({ executionCount, options }: Execution): number {
  const isBefore = options?.storeHistory === false;
  return Math.max(0, (executionCount ?? 0) - (isBefore ? 1 : 0));
}

function inputMessage(code: string, count: number): Sent {
  return { channel: 'iopub', type: 'execute_input', content: { code, execution_count: count } };
}

function errorMessage(error: ErrorContent): Sent {
  return { channel: 'iopub', type: 'error', content: { ...error } };
}

function replyMessage(content: Sent['content']): Sent {
  return { channel: 'shell', type: 'execute_reply', content };
}
