import { describe, expect, it } from 'vitest';
import { headsFile, report } from '../../src/cli/auditVerify.ts';
import { parseAuditHead } from '../../src/domain/auditHead.ts';
import { fences, readPage } from '../support/userPages.ts';

const HEAD = { chainId: 'c', day: '2026-01-31', position: 7, head: 'aa' };
const CLEAN = {
  chainId: 'c',
  position: 9,
  events: 9,
  unsealed: 0,
  outsideHeads: 2,
  findings: [],
  findingCount: 0,
};

describe('parseAuditHead', () => {
  it('reads a head from a line of the file, and from a line of a log', () => {
    expect(parseAuditHead(JSON.stringify(HEAD))).toEqual(HEAD);
    expect(parseAuditHead(JSON.stringify({ level: 30, ...HEAD, msg: 'closed' }))).toEqual(HEAD);
  });

  it.each(['', '{"chainId":"c"', '{"chainId":"c","day":"x"}', '"chainId"', 'null "chainId"'])(
    'skips the line %s',
    (line) => {
      expect(parseAuditHead(line)).toBeNull();
    },
  );
});

describe('audit verify', () => {
  it('takes no argument except a file of heads', () => {
    expect(headsFile([])).toBeNull();
    expect(headsFile(['--heads', 'x'])).toBe('x');
    for (const words of [['--heads='], ['more'], ['--head', 'x']])
      expect(() => headsFile(words)).toThrow('cellhouse --help');
  });

  it('reports each finding, how many events are not sealed, and that no outside head was compared', () => {
    const [shown = ''] = fences('text', readPage('docs/run/audit.md'));
    const lines = shown
      .trimEnd()
      .split('\n')
      .filter((line) => !/^\$|^…$/.test(line));
    const one = lines[0]?.replace('FOUND: ', '') ?? '';
    expect(report({ ...CLEAN, findings: [one], findingCount: 1 }, 0)).toEqual(
      expect.arrayContaining(lines),
    );
    expect(report(CLEAN, 0.04)).toEqual([
      'Compared 9 links up to position 9 of chain c in 0.0 s.',
      'Compared 2 heads that were noted outside of the database.',
      'Nothing was found.',
    ]);
    const found = { ...CLEAN, unsealed: 3, outsideHeads: 0, findings: ['A.'], findingCount: 5 };
    expect(report(found, 0)).toEqual([
      'FOUND: A.',
      'FOUND: 4 more, which are not listed.',
      expect.stringContaining('Compared 9'),
      '3 events are not sealed yet, so nothing is known about them.',
      expect.stringContaining('No head from outside'),
      '5 findings.',
    ]);
  });
});
