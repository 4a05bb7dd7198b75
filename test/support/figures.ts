/** Figures on pages for users, and what they must be by the settings, the code and the report of the benches. */
import { readFileSync } from 'node:fs';
import { SETTINGS } from '../../src/config/config.ts';

export const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIMES = { ms: 1, s: 1e3, second: 1e3, minute: 6e4, h: 3.6e6, hour: 3.6e6, day: 8.64e7 };
const SIZES = { byte: 1, B: 1, kB: 1e3, KiB: 1_024, MB: 1e6, MiB: MIB, GB: 1e9, GiB: GIB };
const UNITS: Readonly<Record<string, number>> = { ...TIMES, ...SIZES, million: 1e6 };

const DIGITS = String.raw`(?:\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)`;
const WORDS = 'one two three four five six seven eight nine ten eleven twelve'.split(' ');
const NUMBER = String.raw`(?:${DIGITS}|\b(?:an?|${WORDS.join('|')})\b)`;
const UNIT = oneOf(UNITS);
/** A number, perhaps with a unit: 15 minutes, 1 MiB, a day, 1,000. */
const FIGURE = `${NUMBER}(?: ?${UNIT})?`;
/** What is a figure by its form alone: it has a unit or a comma, or is the result of a bench. */
const CLAIMS = [
  `${DIGITS} ?${UNIT}`,
  String.raw`\d{1,3}(?:,\d{3})+`,
  String.raw`(?:an hour|a day|(?:${WORDS.join('|')}) (?:second|minute|hour|day)s?)\b`,
  String.raw`${DIGITS}(?= \| .npm run)`,
];
const CLAIM = new RegExp(String.raw`(?<![\w.,:/-])(?:${CLAIMS.join('|')})`, 'g');

/** What a figure must be: this value in ms, in bytes or without a unit, or what a rule allows. */
type Expected = number | Rule;

interface Rule {
  readonly words: string;
  allows(figure: Figure): boolean;
}

/** Text of a page, in which `{}` stands for each figure, and what these must be. */
export type Row = readonly [text: string, ...expected: Expected[]];

/** Rounded to as many digits as the page has. */
export function about(value: number): Rule {
  return {
    words: `about ${value}`,
    allows: ({ number, unit, digits }) => Number((value / unit).toPrecision(digits)) === number,
  };
}

/** Rounded up to the unit that the page has. */
export function roundedUp(value: number): Rule {
  return {
    words: `${value}, rounded up`,
    allows: ({ number, unit }) => Math.ceil(value / unit) === number,
  };
}

/** Advice to stay above a limit. */
export function atLeast(value: number): Rule {
  return { words: `at least ${value}`, allows: ({ number, unit }) => number * unit >= value };
}

/** Advice to stay below a limit, or a figure that may grow. */
export function atMost(value: number): Rule {
  return { words: `at most ${value}`, allows: ({ number, unit }) => number * unit <= value };
}

/** The default of a setting. */
export function setting(name: string): number {
  const declared = settingNamed(name);
  if (!declared?.fallback) throw new Error(`No setting ${name} has a default.`);
  return Number(declared.fallback) * (declared.unit === 'MiB' ? MIB : 1);
}

/**
 * A constant in TypeScript or Python, or one of its keys: `NAME`, `NAME.key`. The end of its name says its unit. It is
 * read from the text of the file: no module needs to export what only its page repeats.
 */
export function constant(path: string, name: string): number {
  const [object, key] = name.split('.');
  const start = String.raw`^(?:export )?(?:const )?${object}\b[^=\n]* = `;
  const inner = key === undefined ? '' : String.raw`\{[^}]*\b${key}: `;
  const value = found(
    path,
    new RegExp(String.raw`${start}${inner}'?([\w.]+(?: \* [\w.]+)*)\b(?! [-+/])`, 'm'),
  );
  const suffix = /_(?:SECONDS|S|MB|GIB)$/.exec(name)?.[0] ?? '';
  return value * ({ _SECONDS: 1e3, _S: 1e3, _MB: MIB, _GIB: GIB }[suffix] ?? 1);
}

/** The number, or the product of numbers, that the pattern finds in a file. */
export function found(path: string, pattern: RegExp): number {
  const [, product = ''] = pattern.exec(read(path)) ?? [];
  const factors = product.split(' * ').map((one) => (one === 'MIB' ? MIB : numberOf(one)));
  const value = factors.reduce((left, right) => left * right);
  if (product === '' || Number.isNaN(value)) throw new Error(`${path} has no number ${pattern}.`);
  return value;
}

/** The result, or the median, in the line of bench/RESULTS.md that begins with these words. */
export function bench(words: string): number {
  const [line = '', ...more] = read('bench/RESULTS.md')
    .split('\n')
    .filter((one) => one.startsWith(`${words}  `));
  const [, unit = '', value] =
    /^ +(?:(1\/s|[A-Za-z/]+) +)?(-?[\d.]+)x?(?= |$)/.exec(line.slice(words.length)) ?? [];
  if (value === undefined || more.length > 0) throw new Error(`Not one result of "${words}".`);
  return Number(value) * (UNITS[unit.replace('/s', '')] ?? 1);
}

/** The figures of a page that are wrong, and those that no row and no setting beside them explains. */
export function checkFigures(page: string, rows: readonly Row[]) {
  const text = page.replaceAll(/\s+/g, ' ');
  const wrong: string[] = [];
  const explained = new Set<number>();

  function compare(start: number, shown: string, expected: Expected): void {
    explained.add(start);
    const figure = figureOf(shown);
    const isExact = typeof expected === 'number';
    if (isExact ? figure.number * figure.unit === expected : expected.allows(figure)) return;
    const words = isExact ? expected : expected.words;
    wrong.push(`${around(text, start, shown)} must be ${words}`);
  }

  for (const [sentence, ...expected] of rows) {
    const [match, ...more] = text.matchAll(patternOf(sentence));
    if (!match || more.length > 0) wrong.push(`The page must have once: ${sentence}`);
    for (const [at, value] of expected.entries()) {
      const start = match?.indices?.[at + 1]?.[0];
      if (start !== undefined) compare(start, match?.[at + 1] ?? '', value);
    }
  }
  const pairs = settingsIn(text);
  for (const { start, shown, name } of pairs) compare(start, shown, setting(name));
  const unexplained = [...withoutCode(text).matchAll(CLAIM)]
    .filter(({ index }) => !explained.has(index))
    .map(({ 0: shown, index }) => around(text, index, shown));
  return { wrong, unexplained, pairs: pairs.length };
}

interface Figure {
  readonly number: number;
  /** In ms or bytes. */
  readonly unit: number;
  /** Its significant digits. */
  readonly digits: number;
}

function figureOf(shown: string): Figure {
  const [, number = '', unit = ''] = /^([\d.,]+|[a-z]+) ?(.*)$/.exec(shown) ?? [];
  const digits = number.replaceAll(/\D/g, '').replace(/^0+/, '').length || 1;
  const factor = unit === '' ? 1 : (UNITS[unit] ?? UNITS[unit.replace(/s$/, '')] ?? Number.NaN);
  return { number: numberOf(number), unit: factor, digits };
}

function numberOf(text: string): number {
  if (/^an?$/.test(text)) return 1;
  return WORDS.indexOf(text) + 1 || Number(text.replaceAll(/[,_]/g, ''));
}

/** The pattern of a sentence, which captures its figures. */
function patternOf(sentence: string): RegExp {
  const escaped = sentence.replaceAll(/[\\^$.*+?()[\]|]/g, '\\$&');
  return new RegExp(escaped.replaceAll('{}', `(${FIGURE})`), 'dg');
}

/**
 * The settings that stand beside a figure: "`NAME` (5 minutes)", or "after an hour without use (`NAME`)". Of several
 * figures in front of a name, the last one is meant that has a unit like the setting.
 */
function settingsIn(text: string) {
  const places = text.matchAll(
    /`(?<before>[A-Z]\w+)` \((?<inside>[^()]+)\)|(?<front>[^.:;|(]*)\(`(?<after>[A-Z]\w+)`[^)]*\)/g,
  );
  return [...places].flatMap(({ index, groups = {} }) => {
    const { before, inside, front = '', after } = groups;
    const name = before ?? after ?? '';
    const { unit = null, fallback } = settingNamed(name) ?? {};
    const count = String.raw`${DIGITS}\b(?! ?${UNIT})`;
    const kind = unit === null ? count : `${NUMBER} ?${oneOf(unit === 'ms' ? TIMES : SIZES)}`;
    const last = [...(inside ?? front).matchAll(new RegExp(kind, 'g'))].at(-1);
    if (!fallback || !last) return [];
    const start = inside === undefined ? index : index + `\`${name}\` (`.length;
    return [{ start: start + last.index, shown: last[0], name }];
  });
}

function oneOf(units: Readonly<Record<string, number>>): string {
  return String.raw`(?:${Object.keys(units).join('|')})s?\b`;
}

function settingNamed(name: string) {
  return Object.values(SETTINGS).find((one) => one.name === name);
}

/** The text with as many other characters in place of code, links and comments, which tell no figures. */
function withoutCode(text: string): string {
  const fences = text.replaceAll(/```.*?```|\]\([^)]*\)|<!--.*?-->/g, (part) =>
    '-'.repeat(part.length),
  );
  return fences.replaceAll(/`[^`]*`/g, (code) => code.replaceAll(/\d/g, '-'));
}

function around(text: string, start: number, shown: string): string {
  const end = start + shown.length;
  return `${text.slice(Math.max(0, start - 40), start)}[${shown}]${text.slice(end, end + 20)}`;
}

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}
