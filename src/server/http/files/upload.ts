import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { DomainError } from '../../../domain/errors.ts';
import { type TokenEnd, tokenEnded } from '../../../service/access/tokenEnd.ts';

/** As long as a worker waits for the next piece of a file. A form also has bytes that go to no worker. */
const SILENCE_MS = 150_000;

/**
 * A request's body as a stream. Nothing of it is asked for before the stream is first read: a client that sent `Expect:
 * 100-continue` sends nothing until then. The stream fails if the client goes away before the end. Destroying it leaves
 * the request alone, so that it can still be answered. While nobody knows whether the token is still valid, nothing is
 * passed on.
 * @param silenceMs it fails with FILE_TIMEOUT if the client sends nothing for so long while it is waited for
 */
export function uploadOf(
  req: IncomingMessage,
  res: ServerResponse,
  tokenEnd: TokenEnd,
  onBytes: (count: number) => void,
  silenceMs = SILENCE_MS,
): Readable {
  let isBegun = false;
  let silence: NodeJS.Timeout | null = null;
  /** The pieces that wait, in order. Null: none does. */
  let waiting: Promise<void> | null = null;
  const body = new Readable({
    read: () => {
      listen();
      if (!isBegun) begin();
      else req.resume();
    },
    destroy: (error, done) => {
      hush();
      req.off('data', take).off('end', end).off('error', fail).off('close', gone).pause();
      done(error);
    },
  });

  function begin(): void {
    isBegun = true;
    if (/^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
    if (req.destroyed) gone();
    else req.on('data', take).on('end', end).on('error', fail).on('close', gone);
  }
  /** From now on the client is waited for. */
  function listen(): void {
    if (silence) silence.refresh();
    else silence = setTimeout(() => body.destroy(silent(silenceMs)), silenceMs);
  }
  function hush(): void {
    if (silence) clearTimeout(silence);
    silence = null;
  }
  function take(chunk: Buffer): void {
    hush();
    onBytes(chunk.length);
    const known = tokenEnd.fresh();
    if (known !== null) later(known, chunk);
    else pass(chunk);
  }
  // The end may be told while the last piece still waits.
  const end = () => {
    hush();
    pass(null);
  };
  function pass(piece: Buffer | null): void {
    if (waiting !== null) later(waiting, piece);
    else if (!body.push(piece)) req.pause();
    else if (piece !== null) listen();
  }
  function later(known: Promise<void>, piece: Buffer | null): void {
    req.pause();
    const turn: Promise<void> = Promise.all([waiting, known]).then(() => {
      if (waiting === turn) waiting = null;
      if (body.destroyed) return;
      if (tokenEnd.isOver) body.destroy(tokenEnded());
      else if (body.push(piece)) req.resume();
    });
    waiting = turn;
  }
  const fail = (error: Error) => void body.destroy(error);
  /** Also if everything has arrived: what nobody had read by then is lost. */
  function gone(): void {
    if (!req.readableEnded) body.destroy(new Error('The client went away while sending.'));
  }
  return body;
}

function silent(ms: number): DomainError {
  return new DomainError('FILE_TIMEOUT', `The client has sent nothing for ${ms} ms.`);
}
