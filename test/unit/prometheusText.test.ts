/** Tests the reader that checks `/metrics`: a reader that accepts everything would prove nothing. */
import { describe, expect, it } from 'vitest';
import { parsePrometheus } from '../support/prometheusText.ts';

const GAUGE = '# HELP a What it is.\n# TYPE a gauge\n';
const HISTOGRAM = '# HELP h Seconds.\n# TYPE h histogram\n';

describe('the text format', () => {
  it('is read with its labels', () => {
    const families = parsePrometheus(`${GAUGE}a{x="1",y="q\\"\\n"} 2.5\na{x="2",y=""} NaN\n`);
    expect(families.get('a')).toEqual({
      type: 'gauge',
      help: 'What it is.',
      samples: [
        { name: 'a', labels: { x: '1', y: 'q"\n' }, value: 2.5 },
        { name: 'a', labels: { x: '2', y: '' }, value: Number.NaN },
      ],
    });
  });

  it.each([
    ['no end of the last line', `${GAUGE}a 1`],
    ['a type without help', '# TYPE a gauge\na 1\n'],
    ['a sample without type', '# HELP a What it is.\na 1\n'],
    ['a family in two places', `${GAUGE}a 1\n${GAUGE}a{x="1"} 1\n`],
    ["another family's sample", `${GAUGE}b 1\n`],
    ['a series that is reported twice', `${GAUGE}a{x="1"} 1\na{x="1"} 2\n`],
    ['a label without quotes', `${GAUGE}a{x=1} 1\n`],
    ['what is not a number', `${GAUGE}a 1e\n`],
    ['a counter without _total', '# HELP a What it is.\n# TYPE a counter\na 1\n'],
    ['buckets without +Inf', `${HISTOGRAM}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`],
    [
      'buckets that fall',
      `${HISTOGRAM}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
    ],
    [
      'a count that differs from its buckets',
      `${HISTOGRAM}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`,
    ],
    ['a histogram without sum', `${HISTOGRAM}h_bucket{le="+Inf"} 1\nh_count 1\n`],
  ])('is refused with %s', (_name, text) => {
    expect(() => parsePrometheus(text)).toThrow();
  });
});
