/**
 * Code, and what the SDK gives its caller. Each row can run in a sandbox in which other rows have run before. `gives`
 * is compared by `toMatchObject` with the `summary` of the execution.
 */
import { expect } from 'vitest';
import type { Sandbox } from './sdks.ts';

type Execution = Awaited<ReturnType<Sandbox['runCode']>>;
type Result = Execution['results'][number];
type CodeOptions = NonNullable<Parameters<Sandbox['runCode']>[1]> & { readonly language?: string };

export interface Cell {
  readonly title: string;
  readonly code: string;
  readonly options?: Pick<CodeOptions, 'language' | 'envs'>;
  readonly gives: object;
}

/** Runs code; returns parts of its execution and, as `told`, the events that the callbacks got. */
export async function summary(sandbox: Sandbox, { code, options }: Pick<Cell, 'code' | 'options'>) {
  const out: string[] = [];
  const err: string[] = [];
  const results: Result[] = [];
  const errors: string[] = [];
  const execution = await sandbox.runCode(code, {
    ...options,
    onStdout: ({ line }) => void out.push(line),
    onStderr: ({ line }) => void err.push(line),
    onResult: (result) => void results.push(result),
    onError: ({ name }) => void errors.push(name),
  } as Parameters<Sandbox['runCode']>[1]);
  return {
    text: execution.text,
    logs: execution.logs,
    error: execution.error,
    results: execution.results,
    formats: execution.results.map((result) => [...result.formats()].sort()),
    told: { out, err, errors, results: results.length },
  };
}

const IMAGE = `
import numpy as np
from PIL import Image
noise = np.random.default_rng(4).integers(0, 255, (8, 8, 3), dtype="uint8")
picture = Image.fromarray(noise).convert("RGBA")
`;
const PLOT = `
import matplotlib.pyplot as plt
plt.plot([0, 1, 4, 9])
plt.show()
`;
/** A PNG begins with this, in base64. */
const PNG = /^iVBORw0KGgo/;

const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);
const FIGURE = { png: like(PNG), text: like(/^<.*>$/), extra: {} };

export const CELLS: readonly Cell[] = [
  { title: 'the value of the last line', code: 'y = 20; y + 1', gives: { text: '21' } },
  {
    title: 'a result, told once',
    code: '"a" * 3',
    gives: { text: 'aaa', results: [{ isMainResult: true }], told: { results: 1 } },
  },
  {
    title: 'an error, told once',
    code: 'undefined_name',
    gives: {
      error: {
        name: 'NameError',
        value: "name 'undefined_name' is not defined",
        traceback: like(/undefined_name/),
      },
      told: { errors: ['NameError'] },
    },
  },
  {
    title: 'one event for a print, however it is put together',
    code: 'print("first", 2, "third\\nline", sep=", ", end="!\\n")',
    gives: {
      logs: { stdout: ['first, 2, third\nline!\n'], stderr: [] },
      told: { out: ['first, 2, third\nline!\n'] },
    },
  },
  {
    title: 'one event for a print to stderr',
    code: 'import sys\nprint(404, file=sys.stderr)',
    gives: { logs: { stdout: [], stderr: ['404\n'] }, told: { err: ['404\n'] } },
  },
  {
    title: 'the home as the folder of Python',
    code: 'import pathlib\nprint(pathlib.Path.cwd())',
    options: { language: 'python' },
    gives: { logs: { stdout: ['/home/user\n'] } },
  },
  {
    title: 'commands in a cell of Python',
    code: '!pwd',
    gives: { logs: { stdout: [like(/^\/home\/user\r?\n$/)] } },
  },
  {
    title: 'top-level await',
    code: 'import asyncio\nawait asyncio.sleep(0, "awaited")',
    gives: { text: 'awaited' },
  },
  {
    title: 'a table as data',
    code: 'import pandas as pd\npd.DataFrame({"city": ["Bonn", "Ulm"], "n": [3, 5]})',
    gives: {
      results: [{ data: { city: ['Bonn', 'Ulm'], n: [3, 5] }, html: like(/<table/), extra: {} }],
    },
  },
  {
    title: 'lists and dicts as JSON',
    code: '{"list": [1, None, "a"]}',
    gives: { results: [{ json: { list: [1, null, 'a'] } }] },
  },
  {
    title: 'no format but the one that is displayed',
    code: 'display({"text/latex": "$x^2$"}, raw=True)',
    gives: { results: [{ raw: { latex: '$x^2$' }, isMainResult: false }], formats: [['latex']] },
  },
  { title: 'a figure and its text', code: PLOT, gives: { results: [FIGURE] } },
  {
    title: 'a figure, then a value',
    code: `${PLOT}\n[1, 2]`,
    gives: {
      results: [
        { isMainResult: false, ...FIGURE },
        { isMainResult: true, text: '[1, 2]' },
      ],
      told: { results: 2 },
    },
  },
  {
    title: 'an image as the value',
    code: `${IMAGE}picture`,
    gives: { results: [{ png: like(PNG) }] },
  },
  {
    title: 'an image that is shown',
    code: `${IMAGE}picture.show()\nprint("shown")`,
    gives: { results: [{ png: like(PNG) }], logs: { stdout: ['shown\n'] } },
  },
  {
    title: 'an image that is saved',
    code: `${IMAGE}picture.save("noise.png")`,
    gives: { results: [{ png: like(PNG) }] },
  },
];

/** For each language, code that prints the environment variable CITY. */
export const ENVIRONMENTS = [
  {
    language: 'python',
    read: 'import os; print(os.environ.get("CITY", "none"))',
  },
  {
    language: 'bash',
    read: 'echo "$' + '{CITY:-none}"',
  },
] as const;
