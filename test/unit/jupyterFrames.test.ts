/** Messages in WebSocket frames, in both of Jupyter's formats. */

import { describe, expect, it } from 'vitest';
import { messageOf, status } from '../../src/doors/jupyter/messages.ts';
import { framesOf, MessageError, V1_PROTOCOL } from '../../src/doors/jupyter/wire.ts';
import { fc } from '../support/seeded.ts';

const HEADER = {
  msg_id: 'm',
  msg_type: 'execute_request',
  session: 's',
  username: 'u',
  date: '',
  version: '5.3',
};
const at = new Date('2026-01-02T03:04:05.678Z');
const legacy = framesOf('');
const v1 = framesOf(V1_PROTOCOL);

/** A binary frame with these offsets, of `bytes` bytes each. */
function framed(bytes: 4 | 8, words: readonly number[], rest: string): Buffer {
  const head = Buffer.alloc(words.length * bytes);
  words.forEach((word, nth) => {
    if (bytes === 4) head.writeUInt32BE(word, nth * bytes);
    else head.writeBigUInt64LE(BigInt(word), nth * bytes);
  });
  return Buffer.concat([head, Buffer.from(rest)]);
}

describe('a frame', () => {
  it.each([['' as string], [V1_PROTOCOL]])('of %j gives back what was put into it', (protocol) => {
    const { encode, decode } = framesOf(protocol);
    const sent = messageOf(status('busy'), { id: 'x', session: 'k-0', at, parent: HEADER });
    const frame = encode(sent);
    const read = decode(typeof frame === 'string' ? frame : Buffer.from(frame));
    const { parent_header: parent, ...kept } = sent;
    expect(read).toEqual(kept);
    expect(String(frame)).toContain(JSON.stringify(parent));
  });

  it('without a subprotocol has id and type at its top, where some clients look for them', () => {
    const sent = messageOf(status('idle'), { id: 'x', session: 'k-0', at, parent: null });
    expect(JSON.parse(String(legacy.encode(sent)))).toEqual({
      ...sent,
      msg_id: 'x',
      msg_type: 'status',
      parent_header: {},
      buffers: [],
    });
  });

  it('may leave out channel, parent, metadata and content', () => {
    expect(legacy.decode(JSON.stringify({ header: { msg_id: 'a', msg_type: 'b' } }))).toEqual({
      channel: 'shell',
      header: { msg_id: 'a', msg_type: 'b', session: '', username: '', date: '', version: '' },
      metadata: {},
      content: {},
    });
  });

  it.each([
    [1_767_323_045.678, '2026-01-02T03:04:05.678Z'],
    [1e300, ''],
  ])('with a date in seconds (%d) has the date as text', (date, told) => {
    const header = { ...HEADER, date };
    expect(legacy.decode(JSON.stringify({ header })).header).toEqual({ ...HEADER, date: told });
  });

  it('with buffers is read without them', () => {
    const json = JSON.stringify({ header: HEADER, channel: 'shell' });
    const end = 12 + json.length;
    const frame = framed(4, [2, 12, end], `${json}buffer`);
    expect(legacy.decode(frame).header).toEqual(HEADER);
    expect(legacy.decode(framed(4, [1, 8], json)).header).toEqual(HEADER);
  });

  it.each([
    ['text that is not JSON', legacy, 'x'],
    ['no header', legacy, '{}'],
    ['an array', legacy, '[]'],
    ['null', legacy, 'null'],
    ['no id', legacy, JSON.stringify({ header: { ...HEADER, msg_id: '' } })],
    ['a long id', legacy, JSON.stringify({ header: { ...HEADER, msg_id: 'x'.repeat(101) } })],
    ['an id of another type', legacy, JSON.stringify({ header: { ...HEADER, msg_id: 1 } })],
    ['an unknown channel', legacy, JSON.stringify({ header: HEADER, channel: 'x' })],
    ['nothing', legacy, Buffer.alloc(0)],
    ['more offsets than bytes', legacy, framed(4, [9, 9], '')],
    ['an offset beyond its end', legacy, framed(4, [1, 99], '{}')],
    ['text', v1, '{}'],
    ['nothing', v1, Buffer.alloc(0)],
    ['too few offsets', v1, framed(8, [2, 24, 24], '')],
    ['offsets that fall', v1, framed(8, [6, 56, 50, 50, 50, 50, 50], '')],
    ['an offset in its head', v1, framed(8, [6, 0, 56, 56, 56, 56, 56], '')],
    ['an offset beyond every number', v1, Buffer.alloc(64, 0xff)],
  ])('with %s is refused', (_what, { decode }, frame) => {
    expect(() => decode(frame)).toThrow(MessageError);
  });

  it('of any bytes is read, or refused with a MessageError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const { decode } of [legacy, v1]) {
          try {
            decode(Buffer.from(bytes));
          } catch (error: unknown) {
            expect(error).toBeInstanceOf(MessageError);
          }
        }
      }),
    );
  });
});
