/** Frames of a stream: a byte of flags, the length in four bytes, and that many bytes of JSON. */
import { RpcError } from './rpcError.ts';

const HEAD_BYTES = 5;
/** The frame is compressed. */
const COMPRESSED = 0x01;
/** The frame is the last one, and tells how the stream ended. */
const END = 0x02;

/** A message as a frame. */
export function messageFrame(message: object): Buffer {
  return frame(0, message);
}

/** The last frame. @param error null: the stream ended well */
export function endFrame(error: RpcError | null): Buffer {
  return frame(END, error ? { error: errorBody(error) } : {});
}

/** An error as callers get it: in the last frame, or as the body of a unary answer. */
export function errorBody({ code, message }: RpcError): object {
  return { code, message };
}

/**
 * The JSON in the one frame of a request.
 * @throws RpcError `invalid_argument` unless it is exactly one whole frame; `unimplemented` if it is compressed
 */
export function onlyFrameIn(body: Buffer): Buffer {
  const isWhole = body.length >= HEAD_BYTES && body.readUInt32BE(1) === body.length - HEAD_BYTES;
  if (!isWhole) {
    throw new RpcError('invalid_argument', 'The body must be exactly one frame with a message.');
  }
  const flags = body.readUInt8(0);
  if (flags & COMPRESSED) throw compressed();
  if (flags !== 0) throw new RpcError('invalid_argument', 'The frame must be a message.');
  return body.subarray(HEAD_BYTES);
}

/** The error for a message that is compressed. */
export function compressed(): RpcError {
  return new RpcError('unimplemented', 'Messages must not be compressed: send them as they are.');
}

function frame(flags: number, message: object): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json]);
}
