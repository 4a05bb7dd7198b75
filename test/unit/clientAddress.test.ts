import { describe, expect, it } from 'vitest';
import { type AddressOf, createAddressOf } from '../../src/server/http/authenticate.ts';

const from = (remoteAddress: string, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as Parameters<AddressOf>[0];

describe('the address of a caller', () => {
  it('is that of the peer, whatever its headers say', () => {
    const addressOf = createAddressOf([]);
    expect(addressOf(from('203.0.113.7'))).toBe('203.0.113.7');
    expect(addressOf(from('203.0.113.7', '198.51.100.1'))).toBe('203.0.113.7');
    expect(addressOf(from('::ffff:203.0.113.7'))).toBe('203.0.113.7');
  });

  it('is the same for all addresses of an IPv6 network of 64 bits', () => {
    const addressOf = createAddressOf([]);
    const addresses = [
      '2001:db8:0:1::',
      '2001:db8::1:aaaa:bbbb:cccc:dddd',
      '2001:DB8:0000:1::7%eth0',
    ];
    expect(new Set(addresses.map((each) => addressOf(from(each))))).toEqual(
      new Set(['2001:db8:0:1']),
    );
    expect(addressOf(from('2001:db8:0:2::1'))).toBe('2001:db8:0:2');
    expect(addressOf(from('::1'))).toBe('0:0:0:0');
  });

  it('is the last forwarded address that is not a trusted proxy, if the peer is a trusted proxy', () => {
    const addressOf = createAddressOf(['10.0.0.0/8', '::1', '192.0.2.1']);
    const said = '198.51.100.9, 203.0.113.7, 10.1.2.3';
    expect(addressOf(from('10.9.9.9', said))).toBe('203.0.113.7');
    expect(addressOf(from('::ffff:192.0.2.1', said))).toBe('203.0.113.7');
    expect(addressOf(from('::1', '2001:db8::5'))).toBe('2001:db8:0:0');
    // What a peer forwards is ignored, unless the peer is a trusted proxy.
    expect(addressOf(from('192.0.2.2', said))).toBe('192.0.2.2');
  });

  it('is that of the proxy, if the proxy forwards no valid address', () => {
    const addressOf = createAddressOf(['10.0.0.0/8']);
    for (const said of [undefined, '', 'unknown', '203.0.113.7, nonsense', '10.0.0.1'])
      expect(addressOf(from('10.9.9.9', said))).toBe('10.9.9.9');
    expect(createAddressOf(['::1'])(from('::1', 'unknown'))).toBe('0:0:0:0');
  });
});
