/**
 * Serves one WebSocket to a kernel. It reports everything that happens in the kernel, whichever client caused it, and
 * takes requests. When it is closed, running code goes on.
 */
import type { Logger } from 'pino';
import { DomainError, messageOf } from '../../domain/errors.ts';
import type { ContextNews } from '../../service/output/followContext.ts';
import type { DoorSocket } from '../openDoor.ts';
import {
  type Asked,
  createCellMessages,
  createOutbox,
  PLAIN_CLIENT_BYTES,
} from './cellMessages.ts';
import { askerOf, keyOf, parentHeaderOf, status } from './messages.ts';
import { createAcknowledged, createRequestQueue } from './requestQueue.ts';
import { createRequests, type RequestsDeps } from './requests.ts';
import { framesOf, type Header, MessageError } from './wire.ts';

const NORMAL = 1000;
const BAD_DATA = 1007;
const INTERNAL_ERROR = 1011;
const TRY_AGAIN_LATER = 1013;

export interface ChannelsDeps extends Omit<RequestsDeps, 'out' | 'asked'> {
  /** The session id that the client gave itself. Null: it gave none. */
  readonly clientSession: string | null;
  readonly socket: DoorSocket;
  readonly logger: Logger;
}

/** The room for a reason in a close frame (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123;

/** As much of the text as a close frame has room for, cut between two characters. */
function startOf(reason: string): string {
  const bytes = new Uint8Array(MAX_REASON_BYTES);
  const { read } = new TextEncoder().encodeInto(reason, bytes);
  return reason.slice(0, read);
}

/** Takes over an open socket. */
export function serveChannels(deps: ChannelsDeps): void {
  const { kernel, clientSession, socket, newId, now, logger } = deps;
  const gone = new AbortController();
  socket.onClose(() => gone.abort());
  const isPlain = clientSession === null && socket.protocol === '';
  const out = createOutbox({
    socket,
    kernelId: kernel.context.id,
    kernelRestarts: kernel.context.kernelRestarts,
    maxMessageBytes: isPlain ? PLAIN_CLIENT_BYTES : Number.POSITIVE_INFINITY,
  });
  /** The headers of the execute requests that came over this connection, by their keys ({@link keyOf}). */
  const asked = new Map<string, Header>();
  const requests = createRequests({ ...deps, out, asked });

  function fail(error: unknown): void {
    if (gone.signal.aborted) return;
    const isExpected = error instanceof DomainError;
    if (!isExpected) logger.error({ err: error }, 'A connection to a kernel failed.');
    const [code, reason] = isExpected
      ? [error.code === 'NOT_FOUND' ? NORMAL : TRY_AGAIN_LATER, messageOf(error)]
      : [INTERNAL_ERROR, 'Internal error'];
    socket.close(code, startOf(reason));
  }

  const acknowledged = createAcknowledged(socket);
  const messages = createCellMessages();
  async function tell(news: ContextNews): Promise<void> {
    const unsolicited = (state: Parameters<typeof status>[0]) =>
      out.send({ sent: status(state), id: newId(), at: now(), parent: null });
    switch (news.type) {
      case 'restarting':
        return;
      case 'restarted':
        // No client has asked for this restart, so clients must be told to forget what they wait for.
        if (!news.byUser) await unsolicited('restarting');
        out.restarted(news.kernelRestarts);
        await unsolicited('starting');
        return await unsolicited('idle');
      case 'gone':
        await unsolicited('dead');
        return socket.close(NORMAL, 'The kernel has ended');
      default: {
        const who = askedFor(news.execution);
        const all = messages.of(news, who);
        if (!news.isDelivered) for (const outgoing of all) await out.send(outgoing);
        acknowledged.sent(news.offset);
        if (news.type === 'output') requests.onOutput(news, who.isOurs);
        if (news.type === 'ended') asked.delete(keyOf(who.header, kernel.context.id));
      }
    }
  }

  function askedFor(execution: Parameters<typeof parentHeaderOf>[0]): Asked {
    const asker = askerOf(execution);
    // Two clients may choose the same message id, but then their session ids differ.
    const sent = asker === null ? undefined : asked.get(keyOf(asker, kernel.context.id));
    const isOurs = sent !== undefined || (asker !== null && asker.session === clientSession);
    return { header: sent ?? parentHeaderOf(execution), isOurs };
  }

  async function follow(): Promise<AsyncIterable<ContextNews> | null> {
    try {
      const id = kernel.context.id;
      const reader = clientSession;
      const followed = await deps.service.followContext(id, { gone: gone.signal, reader });
      if (reader !== null) acknowledged.tell(followed);
      out.restarted(followed.kernel.context.kernelRestarts);
      return followed.news;
    } catch (error: unknown) {
      fail(error);
      return null;
    }
  }

  // No request is carried out before this connection follows the kernel. Otherwise it might miss effects of the
  // request.
  const following = follow();
  const queue = createRequestQueue(following);
  const telling = following.then(async (news) => {
    if (news === null) return;
    try {
      for await (const each of news) await tell(each);
    } catch (error: unknown) {
      fail(error);
    }
  });
  socket.onStop(async () => {
    // The client reconnects at once, perhaps to another gateway. That gateway must know which messages have arrived.
    gone.abort();
    await telling;
    await acknowledged.settle();
  });

  const { decode } = framesOf(socket.protocol);
  socket.onMessage((frame) => {
    try {
      const request = decode(frame);
      const run = () => requests.take(request).catch(fail);
      // An interrupt or an input reply must not wait for the request that it interrupts or answers.
      const isUrgent = request.channel === 'control' || request.channel === 'stdin';
      const add = isUrgent ? queue.addUrgent : queue.add;
      if (!add(Buffer.byteLength(frame), run))
        socket.close(TRY_AGAIN_LATER, 'Too many requests wait');
    } catch (error: unknown) {
      if (!(error instanceof MessageError)) throw error;
      socket.close(BAD_DATA, error.message);
    }
  });
}
