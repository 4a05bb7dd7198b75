/** Makes the messages that report what happens in a kernel. */
import type { Execution } from '../../../domain/execution.ts';
import type { ExecutionNews } from '../../../service/output/followContext.ts';
import type { Fields } from '../../shared/fields.ts';
import { endOfCell } from '../messages/executeReply.ts';
import { type Sent, status } from '../messages/messages.ts';
import {
  type ErrorContent,
  errorContent,
  expressionsContent,
  outputMessage,
} from '../messages/outputMessage.ts';
import type { Header } from '../wire/message.ts';
import type { Outgoing } from './outbox.ts';

export interface Asked {
  /** The request that the execution answers. */
  readonly header: Header;
  /**
   * Whether the client of this connection has sent the request. Only that client gets replies and requests for input.
   */
  readonly isOurs: boolean;
}

export interface CellMessages {
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
  /** The results of its user expressions, which only the reply contains. */
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
          const input = inputMessage(news.code, shownCount(execution));
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
          return [message(seq, outputMessage(output, shownCount(execution)), at)];
        }
        case 'ended': {
          const at = execution.finishedAt ?? execution.requestedAt;
          const hasBegun = execution.startedAt !== null;
          const { unshown, reply } = endOfCell(execution, {
            shown: hasBegun ? shown : null,
            expressions,
            count,
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
 * The number that a cell shows. A cell that is not stored in the history shows the number of the next cell, as with a
 * stock kernel. The stock kernel's reply then has the number of the last cell.
 */
function shownCount({ executionCount, options, finishedAt, status }: Execution): number {
  const isReplied = finishedAt !== null && status !== 'WORKER_LOST';
  const isTakenBack = options?.storeHistory === false && isReplied;
  return (executionCount ?? 0) + (isTakenBack ? 1 : 0);
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
