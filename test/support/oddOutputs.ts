/** Code whose output is odd or large, and the stdout that must result. */

export interface OddOutput {
  readonly name: string;
  readonly code: string;
  readonly stdout: string;
  readonly stderr?: string;
  /** What a terminal shows, if that differs from stdout. */
  readonly rendered?: string;
  /** How many figures it shows. */
  readonly figures?: number;
}

/** Texts, and each one's Python literal. */
const ODD_TEXTS: readonly (readonly [name: string, text: string, literal: string])[] = [
  ['U+0000', 'a\u0000b\u0000\u0000', String.raw`'a\x00b\x00\x00'`],
  ['lone surrogates', '\ud800 \udfff \udc00\ud83d', String.raw`'\ud800 \udfff \udc00\ud83d'`],
  [
    'controls',
    '\u0001\u007f\u009b\ufeff\u2028\ufffe\u0085',
    String.raw`'\x01\x7f\x9b\ufeff\u2028\ufffe\x85'`,
  ],
  ['emoji', '👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301', `'👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301'`],
  ['right-to-left', 'שלום \u202eabc\u202c مرحبا', `'שלום \u202eabc\u202c مرحبا'`],
];

const printed = ODD_TEXTS.map(
  ([name, text, literal]): OddOutput => ({
    name,
    code: `import sys\nprint(${literal})\nprint(${literal}, file=sys.stderr)`,
    stdout: `${text}\n`,
    stderr: `${text}\n`,
  }),
);

/** Longer than one message, so the text is split into pieces, but never inside a character. */
const EMOJI_COUNT = 200_000;
const LINE_CHARS = 10_000_000;
const LINES = 200_000;
const FIGURES = 300;

export const LARGE_LINE: OddOutput = {
  name: '10 MB in one line',
  code: `print('0123456789' * ${LINE_CHARS / 10})`,
  stdout: `${'0123456789'.repeat(LINE_CHARS / 10)}\n`,
};

export const ODD_OUTPUTS: readonly OddOutput[] = [
  ...printed,
  {
    name: 'ANSI',
    code: String.raw`print('\x1b[1;31mred\x1b[0m \x1b]0;title\x07\x1b[2J')`,
    stdout: '\u001b[1;31mred\u001b[0m \u001b]0;title\u0007\u001b[2J\n',
    rendered: 'red \n',
  },
  {
    name: 'many emoji',
    code: `print('😀' * ${EMOJI_COUNT})`,
    stdout: `${'😀'.repeat(EMOJI_COUNT)}\n`,
  },
  LARGE_LINE,
  {
    name: '200,000 lines',
    code: `for i in range(${LINES}): print(i)`,
    stdout: Array.from({ length: LINES }, (_, index) => `${index}\n`).join(''),
  },
  {
    name: '300 figures',
    code: `import matplotlib.pyplot as plt
for i in range(${FIGURES}):
    plt.figure(figsize=(1, 1))
    plt.plot([0, i])
    plt.show()
    print(i)`,
    stdout: Array.from({ length: FIGURES }, (_, index) => `${index}\n`).join(''),
    figures: FIGURES,
  },
];
