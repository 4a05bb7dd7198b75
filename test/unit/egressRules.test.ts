import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  addressText,
  authorityOf,
  type EgressRule,
  hostText,
  isListed,
  isSpecial,
  mayDial,
  notCovered,
  parseAddress,
  parseNetwork,
  parseRule,
  parseRules,
  parseTarget,
} from '../../src/domain/egress.ts';
import { isOwnAddress } from '../../src/egress/createDial.ts';

function rules(text: string): readonly EgressRule[] {
  const parsed = parseRules(text);
  if (parsed === undefined) throw new Error(`${text} has something that is no rule.`);
  return parsed;
}

function listed(text: string, authority: string, defaultPort: number | null = null): boolean {
  const target = parseTarget(authority, defaultPort);
  if (target === null) throw new Error(`${authority} is no target.`);
  return isListed(rules(text), target);
}

function dial(text: string, address: string, port: number, isOwn = false): boolean {
  const parsed = parseAddress(address);
  if (parsed === null) throw new Error(`${address} is no address.`);
  return mayDial(rules(text), parsed, { port, isOwn });
}

describe('an address', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['0:0:0:0:0:ffff:10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['64:ff9b::7f00:1', '64:ff9b::7f00:1'],
    ['64:ff9b::127.0.0.1', '64:ff9b::7f00:1'],
  ])('has one form: %s is %s', (written, form) => {
    const address = parseAddress(written);
    expect(address && addressText(address)).toBe(form);
  });

  it.each(['', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.0.0.01', '127.0.0.1.'])(
    'is not %j',
    (text) => expect(parseAddress(text)).toBeNull(),
  );

  it.each(['fe80::1%eth0', '1:2', ':::', '[::1]', '127.0.0.1/8', 'localhost'])(
    'is not %j either',
    (text) => expect(parseAddress(text)).toBeNull(),
  );

  it('is special if it is not a public one, however it is written', () => {
    const special = [
      ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254'],
      ...['172.16.0.1', '172.31.255.255', '192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1'],
      ...['255.255.255.255', '168.63.129.16', '192.0.0.192', '100.100.100.200', '203.0.113.1'],
      ...['::', '::1', '::7f00:1', '::ffff:127.0.0.1', 'fe80::1', 'fc00::1', 'fd00:ec2::254'],
      ...['ff02::1', '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1', '2002:7f00:1::'],
      ...['2002:a00:1::1', '2001:0:7f00:1::', '2001:db8::1', '3fff::1', '5f00::1', 'fec0::1'],
    ];
    for (const text of special) {
      const address = parseAddress(text);
      expect([text, address && isSpecial(address)]).toEqual([text, true]);
    }
    const open = [
      ...['1.1.1.1', '9.255.255.255', '11.0.0.0', '172.15.0.1', '172.32.0.1', '168.63.129.17'],
      ...['2606:4700::1111', '2a00::1', '64:ff9b::101:101', '2002:101:101::1'],
    ];
    for (const text of open) {
      const address = parseAddress(text);
      expect([text, address && isSpecial(address)]).toEqual([text, false]);
    }
  });

  it('is in networks of its own family, whose masks are valid numbers of bits', () => {
    for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '/8'])
      expect(parseNetwork(text)).toBeNull();
    expect(parseNetwork('::ffff:10.0.0.0/104')).toEqual(parseNetwork('10.0.0.0/8'));
    expect(parseNetwork('::ffff:10.0.0.0/64')).toBeNull();
  });
});

it("the machine's own addresses are recognized also inside of IPv6 addresses", () => {
  const own = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family }) => family === 'IPv4');
  const value = parseAddress(own?.address ?? '')?.value ?? 0n;
  const inside = [(0x64_ff9bn << 96n) | value, (0x2002n << 112n) | (value << 80n) | 1n];
  expect([...inside.map((each) => isOwnAddress({ family: 6, value: each }))]).toEqual([true, true]);
  expect(isOwnAddress({ family: 4, value })).toBe(true);
  const other = parseAddress('64:ff9b::101:101');
  expect(other && isOwnAddress(other)).toBe(false);
});

describe('a target', () => {
  it.each([
    ['pypi.org:443', 'pypi.org', 443],
    ['PyPI.org.:443', 'pypi.org', 443],
    ['[::1]:80', '::1', 80],
    ['[::ffff:10.0.0.1]:80', '10.0.0.1', 80],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['a_b-c.example:65535', 'a_b-c.example', 65_535],
  ])('is read from %s', (authority, host, port) => {
    const target = parseTarget(authority, null);
    expect(target && [hostText(target), target.port]).toEqual([host, port]);
  });

  it.each([
    ...[
      '',
      ':80',
      'a.b',
      'a.b:',
      'a.b:0',
      'a.b:65536',
      'a.b:80:80',
      'a.b:8o',
      'a.b: 80',
      'a.b:+80',
    ],
    ...['user@a.b:80', 'a.b@c.d:80', 'user:pass@a.b:80', 'a.b#@c.d:80', 'a.b\\@c.d:80', 'a.b/x:80'],
    ...[
      '127.1:80',
      '2130706433:80',
      '0x7f000001:80',
      '017700000001:80',
      '0x7f.0.0.1:80',
      '1.2.3.4.5:80',
    ],
    ...[
      '[127.0.0.1]:80',
      '::1:80',
      '[::1:80',
      '[fe80::1%25eth0]:80',
      '[fe80::1%eth0]:80',
      '[a.b]:80',
    ],
    ...[
      'a..b:80',
      '.a.b:80',
      'a.b..:80',
      '-a.b:80',
      'a b:80',
      'ａ.b:80',
      'a\u3002b:80',
      'a%2eb:80',
    ],
    ...['*.a.b:80', 'a\tb:80', 'a\u0000b:80', 'a,b:80', 'exämple.org:80', `${'a'.repeat(64)}.b:80`],
  ])('is not read from %j', (authority) => expect(parseTarget(authority, null)).toBeNull());

  it('names its host without the default port of its scheme', () => {
    const named = (authority: string) => {
      const target = parseTarget(authority, 80);
      return target && authorityOf(target, 80);
    };
    expect(['a.b', 'a.b:80', 'a.b:81', '[::1]', '[::1]:81', '10.0.0.1'].map(named)).toEqual([
      ...['a.b', 'a.b', 'a.b:81', '[::1]', '[::1]:81', '10.0.0.1'],
    ]);
  });
});

it('docs/run/egress.md shows only entries that may be listed', () => {
  const page = readFileSync(new URL('../../docs/run/egress.md', import.meta.url), 'utf8');
  const table = page.split('\n').filter((line) => /^\| `/.test(line));
  const entries = table.flatMap((line) =>
    [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, entry = '']) => entry),
  );
  const hosts = entries.filter((entry) => !/^[A-Z_]+$/.test(entry));
  expect(hosts.length).toBeGreaterThan(8);
  expect(hosts.filter((entry) => parseRules(entry) === undefined)).toEqual([]);
});

describe('a rule', () => {
  it('names hosts exactly, in any case, with or without the last dot', () => {
    expect(listed('pypi.org', 'PYPI.ORG.:443')).toBe(true);
    for (const other of [
      'a.pypi.org',
      'pypi.org.evil',
      'pypi.orgx',
      'xpypi.org',
      'pypi-org',
      'org',
    ])
      expect([other, listed('pypi.org', `${other}:443`)]).toEqual([other, false]);
  });

  it('that begins with `*.` names all hosts below the name, and not the name itself', () => {
    expect(listed('*.a.b', 'x.a.b:443')).toBe(true);
    expect(listed('*.a.b', 'x.y.a.b:443')).toBe(true);
    expect(listed('*.a.b', 'a.b:443')).toBe(false);
    expect(listed('*.a.b', 'xa.b:443')).toBe(false);
    expect(listed('*.a.b', 'x.a.b.c:443')).toBe(false);
    expect(listed('*', 'anything.example:80')).toBe(true);
  });

  it('means the ports 80 and 443, or the one that it names', () => {
    expect([80, 443, 22, 8080].map((port) => listed('a.b', `a.b:${port}`))).toEqual([
      ...[true, true, false, false],
    ]);
    expect([80, 443, 8080].map((port) => listed('a.b:8080', `a.b:${port}`))).toEqual([
      ...[false, false, true],
    ]);
  });

  it('with an address matches only addresses, and one with a name only names', () => {
    expect(listed('192.0.2.0/24:80', '192.0.2.9:80')).toBe(true);
    expect(listed('192.0.2.0/24:80', '192.0.3.9:80')).toBe(false);
    expect(listed('10.0.0.1:80', '[::ffff:10.0.0.1]:80')).toBe(true);
    expect(listed('*', '1.1.1.1:80')).toBe(false);
    expect(listed('0.0.0.0/0', 'a.b:80')).toBe(false);
    expect(listed('1.1.1.1', '[2606:4700::1]:80')).toBe(false);
  });

  it.each(['10.0.0.0/8:5432', '[::1]:8080', '[fd00::/8]:1', '[fd00::]/8:1'])('may be %s', (text) =>
    expect(rules(text)).toHaveLength(1),
  );

  it.each([
    ...[
      'http://a.b',
      'a.b/x',
      'a b',
      'a@b',
      'a.*',
      '*a.b',
      '**',
      '*.',
      '',
      'a.b:',
      'a.b:x',
      'a.b:99999',
    ],
    ...['127.1', '0x7f.1', '2130706433', '10.0.0.0/40', '[::1', '::1]', '[a.b]:80', 'fe80::1%lo'],
  ])('is not %j', (text) =>
    expect(parseRule(text)).toEqual({ problem: expect.stringMatching(/^must/) }),
  );

  it('for a private address must have a port', () => {
    for (const text of [
      '10.0.0.1',
      '127.0.0.1',
      '::1',
      '192.168.0.0/16',
      '169.254.169.254',
      'fd00::/8',
    ])
      expect(parseRule(text)).toEqual({ problem: expect.stringContaining('must have a port') });
    for (const text of [
      '0.0.0.0:80',
      '224.0.0.1:80',
      '[::]:80',
      '[ff02::1]:80',
      '255.255.255.255:1',
    ])
      expect(parseRule(text)).toEqual({
        problem: expect.stringContaining('must not be an unspecified'),
      });
  });

  it('lets a private address be dialled only if it is listed as an address, with that port', () => {
    expect(dial('a.b:8080', '10.0.0.1', 8080)).toBe(false);
    expect(dial('a.b:8080, 10.0.0.1:8080', '10.0.0.1', 8080)).toBe(true);
    expect(dial('a.b:8080, 10.0.0.1:8080', '10.0.0.1', 80)).toBe(false);
    expect(dial('a.b, 10.0.0.0/8:80', '10.9.9.9', 80)).toBe(true);
    expect(dial('a.b, 10.0.0.0/8:80', '127.0.0.1', 80)).toBe(false);
    // A network that contains a private one does not allow its private addresses.
    for (const all of ['0.0.0.0/0', '0.0.0.0/0:80', '8.0.0.0/5:80']) {
      expect(dial(all, '10.0.0.1', 80)).toBe(false);
      expect(dial(all, '127.0.0.1', 80)).toBe(false);
    }
    expect(dial('[64:ff9b::7f00:1]:80', '64:ff9b::7f00:1', 80)).toBe(true);
    expect(dial('127.0.0.1:80', '64:ff9b::7f00:1', 80)).toBe(false);
    for (const nobody of ['0.0.0.0', '::', '224.0.0.1', '255.255.255.255'])
      expect(dial('0.0.0.0/0:80, [::/0]:80', nobody, 80)).toBe(false);
  });

  it("lets the machine's own addresses be dialled only if each is listed itself, with its port", () => {
    expect(dial('*', '1.2.3.4', 80, false)).toBe(true);
    expect(dial('*', '1.2.3.4', 80, true)).toBe(false);
    expect(dial('1.2.3.4', '1.2.3.4', 80, true)).toBe(false);
    expect(dial('1.2.3.0/24:80', '1.2.3.4', 80, true)).toBe(false);
    expect(dial('1.2.3.4:80', '1.2.3.4', 80, true)).toBe(true);
  });

  it.each([
    ['pypi.org', 'pypi.org:443', []],
    ['*.a.b', 'x.a.b', []],
    ['*.a.b', '*.x.a.b', []],
    ['*', '*.a.b', []],
    ['10.0.0.0/8:80', '10.1.0.0/16:80', []],
    ['a.b:80, a.b:443', 'a.b', []],
    ['a.b:443', 'a.b', ['a.b:80']],
    ['*.a.b', 'a.b', ['a.b:80', 'a.b:443']],
    ['*.a.b', '*', ['*:80', '*:443']],
    ['*', '1.1.1.1:80', ['1.1.1.1:80']],
    ['10.1.0.0/16:80', '10.0.0.0/8:80', ['10.0.0.0/8:80']],
    ['[fd00::/16]:80', '[fd00::1]:81', ['[fd00::1]:81']],
  ])('%s, narrowed to %s, lacks %j', (outer, inner, missing) => {
    expect(rules(inner).flatMap((rule) => notCovered(rules(outer), rule))).toEqual(missing);
  });
});
