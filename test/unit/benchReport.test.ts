import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BENCHES } from '../../bench/benches.ts';
import type { Bench, BenchResult, BenchRun } from '../../bench/suite/bench.ts';
import { readFormer } from '../../bench/suite/guard.ts';
import { parseOptions, SHORT_NAMES, UsageError } from '../../bench/suite/options.ts';
import { formatReport, reportBench, runBenches } from '../../bench/suite/report.ts';

const RESULT: BenchResult = {
  comparisons: [
    {
      name: 'of twins',
      unit: 'ms',
      base: { name: 'the base', values: Array(8).fill(2) },
      measured: { name: 'the measured', values: Array(8).fill(3) },
      target: { atMost: 1 },
    },
  ],
  figures: [{ name: 'a rate', unit: 'events/s', value: 12_345, target: { atLeast: 5_000 } }],
};
const PROVENANCE = { machine: 'a machine', versions: 'Node 1', commit: 'abc', date: 'today' };

function bench(name: string, run: Bench['run'], isInBareRun = true): Bench {
  return { name, about: `measures ${name}`, isInBareRun, run };
}

const good = bench('good', async () => RESULT);
const bad = bench('bad', async () =>
  Promise.reject(new Error('wrong answer', { cause: new Error('of it') })),
);
const long = bench('long', async () => ({ ...RESULT, failure: 'it grows' }), false);
const all = [good, bad, long];
const run = (benches: readonly Bench[]) =>
  runBenches({ benches, isShort: false, args: [] }, () => undefined);

describe('a run', () => {
  it('has the results of the other benches when one throws', async () => {
    const benches = await run([good, bad, good]);
    expect(benches.map(({ comparisons }) => comparisons.length)).toEqual([1, 0, 1]);
    expect(benches[1]?.failure).toBe('wrong answer of it');
  });

  it('has the results of a bench that reports a failure', async () => {
    const [reported] = await run([long]);
    expect(reported).toMatchObject({ failure: 'it grows', figures: [{ isMet: true }] });
  });

  it('fails a bench whose series is empty, and passes its options to the bench', async () => {
    let given: Omit<BenchRun, 'say'> | null = null;
    const empty = bench('empty', async ({ isShort, args }) => {
      given = { isShort, args };
      return {
        ...RESULT,
        comparisons: RESULT.comparisons.map((one) => ({
          ...one,
          measured: { name: '', values: [] },
        })),
      };
    });
    const [reported] = await runBenches(
      { benches: [empty], isShort: true, args: ['--users', '3'] },
      () => undefined,
    );
    expect(reported?.failure).toContain('no sample');
    expect(given).toEqual({ isShort: true, args: ['--users', '3'] });
  });
});

describe('the report', () => {
  it('has ratios first, then both sides, then figures, then its provenance and the failures', async () => {
    const benches = await run([good, bad]);
    const text = formatReport({ provenance: PROVENANCE, isShort: false, benches });
    const places = [
      /good: of twins +1\.50x +1\.50x - 1\.50x +1\.50x +1\.50x +<= 1x +NOT MET/,
      /good: of twins: the base +ms +2\.00 +2\.00 +2\.00 +8/,
      /good: of twins: the measured +ms +3\.00 +3\.00 +3\.00 +8/,
      /good: a rate +events\/s +12345 +>= 5000 +met/,
      /a machine/,
      /Node 1/,
      /commit abc, today; good 0 s, bad 0 s/,
      /FAILED: bad: .*wrong answer/,
    ].map((line) => text.search(line));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((one, other) => one - other));
  });

  it('judges a target with `atNearEnd` by the near end of the interval', () => {
    const judge = (values: number[]) => {
      const base = { name: 'the base', values: values.map(() => 2) };
      const measured = { name: 'the measured', values };
      const target = { atMost: 1, atNearEnd: true };
      const comparisons = [{ name: 'of twins', unit: 'ms', base, measured, target }];
      return reportBench('near', 1, { comparisons, figures: [] }).comparisons[0];
    };
    expect(judge([1, 3, 3, 3, 1, 3, 3, 1])).toMatchObject({ ratio: { p50: 1.5 }, isMet: true });
    expect(judge([3, 3, 3, 3])).toMatchObject({ isMet: false });
  });

  it('says "too few" in place of an interval when there are too few samples', async () => {
    const few = { name: 'few', values: [1, 2] };
    const comparison = { name: 'of few', unit: 's', base: few, measured: few };
    const benches = await run([
      bench('a', async () => ({ comparisons: [comparison], figures: [] })),
    ]);
    const text = formatReport({ provenance: PROVENANCE, isShort: false, benches });
    expect(text).toMatch(/a: of few +1\.00x +too few +1\.00x/);
  });

  it('is complete even when nothing was measured', () => {
    const text = formatReport({ provenance: PROVENANCE, isShort: true, benches: [] });
    expect(text).toContain('short form');
  });
});

describe('the arguments of npm run bench', () => {
  const parse = (...words: string[]) => {
    const { benches, ...rest } = parseOptions(words, all);
    return { names: benches.map(({ name }) => name), ...rest };
  };

  it('may be none: then every bench of the default run is chosen', () => {
    expect(parse()).toEqual({
      names: ['good', 'bad'],
      isShort: false,
      json: null,
      against: null,
      args: [],
    });
  });

  it('may be names: then these benches are chosen, in the order of the report', () => {
    expect(parse('long', 'good', '--json', 'x.json', '--short')).toEqual({
      names: ['good', 'long'],
      isShort: true,
      json: 'x.json',
      against: null,
      args: [],
    });
  });

  it('go to the named bench if the suite does not know them, and are refused unless one bench is named', () => {
    expect(parse('long', '--minutes', '5', '--short', '--json=x', '--plot', 'y').args).toEqual([
      '--minutes',
      '5',
      '--plot',
      'y',
    ]);
    expect(() => parse('--minutes', '5')).toThrow(UsageError);
    expect(() => parse('long', 'good', '--minutes', '5')).toThrow(UsageError);
  });

  it('are refused if a name is unknown, with the list of known names', () => {
    expect(() => parse('lnog')).toThrow(
      /no benchmark lnog[\s\S]*good +measures good\n[\s\S]*by name only/,
    );
    expect(() => parse('good', '--json')).toThrow(UsageError);
    expect(() => parse('good', '--json', '--short')).toThrow(UsageError);
  });

  it('may name the results of a former run, but only of the same machine', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ch-former-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'former.json');
    for (const words of [['--against', file], [`--against=${file}`]])
      expect(parse('good', ...words)).toMatchObject({ against: file, json: null, args: [] });
    expect(() => parse('good', '--against', '--short')).toThrow('--against needs a file');
    expect(() => readFormer(file, 'this one')).toThrow(UsageError);
    const write = (what: unknown) => writeFileSync(file, JSON.stringify(what));
    write(null);
    expect(() => readFormer(file, 'this one')).toThrow('holds no results');
    const former = { provenance: { machine: 'this one' }, benches: [] };
    write(former);
    expect(readFormer(file, 'this one')).toEqual(former);
    expect(() => readFormer(file, 'that one')).toThrow(
      'another machine (this one; this is that one)',
    );
  });

  it('choose with --short only benches that exist; no name occurs twice', () => {
    const names = BENCHES.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
    expect(SHORT_NAMES.filter((name) => !names.includes(name))).toEqual([]);
    expect(parseOptions(['--short'], BENCHES).benches).toHaveLength(SHORT_NAMES.length);
  });
});
