/**
 * Reads Prometheus' text format 0.0.4 and refuses what Prometheus or `promtool check metrics` would refuse: a family
 * without help or type, or in two places; a duplicate series; a counter whose name does not end in `_total`; buckets
 * that do not add up.
 */

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type Families = ReadonlyMap<string, Family>;

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const HELP_LINE = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary)$`);
const SAMPLE_LINE = new RegExp(
  `^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\+Inf|-Inf|[Nn]a[Nn]|[-+.\\deE]+)$`,
);
const PARTS = { counter: [''], gauge: [''], histogram: ['_bucket', '_sum', '_count'] };

/** @throws Error that names the line or the family */
export function parsePrometheus(text: string): Families {
  if (!text.endsWith('\n')) throw new Error('The last line has no end.');
  const families = new Map<string, Family>();
  let current: { name: string; help: string } | null = null;
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, helped, help] = HELP_LINE.exec(line) ?? [];
    const [, typed, type] = TYPE_LINE.exec(line) ?? [];
    if (helped !== undefined && help !== undefined) {
      current = { name: helped, help };
    } else if (typed !== undefined && type !== undefined) {
      if (typed !== current?.name) throw new Error(`Without help before it: ${line}`);
      if (families.has(typed)) throw new Error(`A second time: ${line}`);
      families.set(typed, { type, help: current.help, samples: [] });
    } else {
      const name = current?.name ?? '';
      families.get(name)?.samples.push(sampleOf(name, families.get(name), line));
      if (!families.has(name)) throw new Error(`Without type before it: ${line}`);
    }
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function sampleOf(family: string, known: Family | undefined, line: string): Sample {
  const [, name = '', labels = '', value = ''] = SAMPLE_LINE.exec(line) ?? [];
  const parts = PARTS[known?.type as keyof typeof PARTS] ?? [];
  if (!parts.some((part) => name === family + part)) {
    throw new Error(`No sample of ${family}: ${line}`);
  }
  const pairs = [...labels.matchAll(new RegExp(LABEL, 'g'))].map(([pair]): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), JSON.parse(pair.slice(at + 1)) as string];
  });
  return { name, labels: Object.fromEntries(pairs), value: numberOf(value) };
}

function numberOf(text: string): number {
  const value = Number(text.replace('Inf', 'Infinity'));
  // NaN is the mean of no samples. prom-client writes Nan, and Prometheus accepts any case.
  if (Number.isNaN(value) && !/^nan$/i.test(text)) throw new Error(`No number: ${text}`);
  return value;
}

function check(name: string, { type, samples }: Family): void {
  const series = samples.map((sample) => JSON.stringify([sample.name, sample.labels]));
  if (new Set(series).size < series.length) throw new Error(`${name} has a series twice.`);
  if (type === 'counter' && !name.endsWith('_total')) {
    throw new Error(`${name} is a counter, and does not end in _total.`);
  }
  if (type === 'histogram') checkHistograms(name, samples);
}

/** Checks one histogram for each combination of labels without `le`. */
function checkHistograms(name: string, samples: readonly Sample[]): void {
  const keyOf = ({ labels: { le: _, ...labels } }: Sample) => JSON.stringify(labels);
  for (const key of new Set(samples.map(keyOf))) {
    const own = samples.filter((sample) => keyOf(sample) === key);
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    const bounds = buckets.map(({ labels }) => numberOf(labels.le ?? ''));
    const isRising = (values: number[]) =>
      values.every((value, index) => value >= (values[index - 1] ?? 0));
    const isWhole =
      isRising(bounds) &&
      isRising(buckets.map(({ value }) => value)) &&
      bounds.at(-1) === Number.POSITIVE_INFINITY &&
      buckets.at(-1)?.value === count &&
      own.some((sample) => sample.name === `${name}_sum`);
    if (!isWhole) throw new Error(`The histogram ${name} ${key} does not add up.`);
  }
}
