/** examples/notebook.py reads a notebook and writes the executed one, in the form that nbformat demands. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { poolStatus } from '../../testkit/interpreter.ts';
import { runExample } from '../support/runExample.ts';

const SAMPLE = 'examples/notebook.ipynb';
const VALIDATE = 'import nbformat, sys; nbformat.validate(nbformat.read(sys.argv[1], 4))';

let gateway: TestGateway;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cellhouse-notebook-'));
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
});
afterAll(async () => {
  await gateway.destroy();
  rmSync(folder, { recursive: true });
});

interface Cell {
  readonly cell_type: string;
  readonly execution_count?: number | null;
  readonly outputs?: readonly Readonly<Record<string, unknown>>[];
}

/** Runs a notebook with the given code cells, and gives the executed cells. */
async function runCells(sources: readonly (string | readonly string[])[], ...more: string[]) {
  const cells = sources.map((source, n) => ({
    cell_type: 'code',
    execution_count: 99,
    id: `cell-${n}`,
    metadata: {},
    outputs: [{ output_type: 'stream', name: 'stdout', text: 'of an earlier run' }],
    source,
  }));
  const source = join(folder, 'in.ipynb');
  const notebook = { cells, metadata: { kept: true }, nbformat: 4, nbformat_minor: 5 };
  writeFileSync(source, JSON.stringify(notebook));
  return await runNotebook(source, more);
}

async function runNotebook(source: string, more: readonly string[] = []) {
  const target = join(folder, 'out.ipynb');
  const words = { [SAMPLE]: source, 'executed.ipynb': target };
  const { exitCode, stdout, stderr } = await runExample(gateway, 'notebook.py', { words, more });
  expect(stderr).toBe('');
  await promisify(execFile)('/usr/bin/python3', ['-c', VALIDATE, target]);
  const executed = JSON.parse(readFileSync(target, 'utf8')) as {
    readonly cells: readonly Cell[];
    readonly metadata: unknown;
  };
  return { exitCode, stdout, ...executed };
}

/** The types of a cell's outputs. */
const kinds = ({ outputs = [] }: Cell) => outputs.map((output) => output.output_type);

describe('a notebook', () => {
  it('from examples/ comes back executed', async () => {
    const { exitCode, cells } = await runNotebook(SAMPLE);
    expect(exitCode).toBe(0);
    const [text, walk, plot] = cells;
    expect(text).toEqual(expect.not.objectContaining({ outputs: expect.anything() }));
    expect(walk).toMatchObject({
      execution_count: 1,
      outputs: [
        { output_type: 'stream', name: 'stdout', text: 'steps: 1000\n' },
        { output_type: 'execute_result', execution_count: 1, metadata: {} },
      ],
    });
    expect(plot?.execution_count).toBe(2);
    expect(plot?.outputs?.at(-1)).toMatchObject({
      output_type: 'display_data',
      data: { 'image/png': expect.stringMatching(/^iVBOR/), 'text/plain': expect.any(String) },
    });
  });

  it('has each kind of output as nbformat writes it', async () => {
    const { cells, metadata, exitCode } = await runCells([
      ['import sys\n', "print('one')\n", "print('two', file=sys.stderr)\n", "'three'"],
      "from IPython.display import JSON, display\ndisplay(JSON({'a': [1]}))",
      '',
      '# nothing',
    ]);
    expect(exitCode).toBe(0);
    expect(metadata).toEqual({ kept: true });
    expect(cells[0]?.outputs).toEqual(
      expect.arrayContaining([
        { output_type: 'stream', name: 'stdout', text: 'one\n' },
        { output_type: 'stream', name: 'stderr', text: 'two\n' },
        {
          output_type: 'execute_result',
          execution_count: 1,
          data: { 'text/plain': "'three'" },
          metadata: {},
        },
      ]),
    );
    expect(cells[1]?.outputs).toMatchObject([
      { output_type: 'display_data', data: { 'application/json': { a: [1] } } },
    ]);
    expect(cells[2]).toMatchObject({ execution_count: null, outputs: [] });
    expect(cells[3]?.outputs).toEqual([]);
  });

  it('shows the result of clear_output and display updates, whichever cell they come from', async () => {
    const { cells } = await runCells([
      "from IPython.display import clear_output, display\nh = display('first', display_id='h')",
      "print('gone'); clear_output(); print('stays')",
      "print('gone, too'); clear_output(wait=True); print('instead')\nclear_output(wait=True)",
      "h.update('second')\nprint('a', end=''); print('b')",
    ]);
    expect(cells[0]?.outputs).toMatchObject([{ data: { 'text/plain': "'second'" } }]);
    expect(cells[1]?.outputs).toMatchObject([{ text: 'stays\n' }]);
    expect(cells[2]?.outputs).toMatchObject([{ text: 'instead\n' }]);
    expect(cells[3]?.outputs).toMatchObject([{ text: 'ab\n' }]);
  });

  it('sends the files that its code names, and brings back the files that the code made', async () => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    writeFileSync(join(folder, 'data/prices.csv'), 'item,price\ntea,3\ncake,4\n');
    writeFileSync(join(folder, 'unnamed.csv'), 'not sent');
    writeFileSync(join(folder, '.env'), 'not sent, although it is named');
    const elsewhere = join(mkdtempSync(join(folder, 'elsewhere-')), 'weights.json');
    writeFileSync(elsewhere, '{"tea": 2}');
    const { cells, exitCode, stdout } = await runCells(
      [
        'import json, os, pandas as pd\nsorted(os.listdir()), os.path.exists(".env")',
        'prices = pd.read_csv("data/prices.csv")\nweights = json.load(open("weights.json"))',
        'os.makedirs("made/deep")\nprices.to_excel("made/deep/prices.xlsx")',
        'open("made/note é.txt", "w").write("two\\n")\nopen("weights.json", "a").write("\\n")',
        'os.makedirs(".cache/x", exist_ok=True)\nopen(".cache/x/y", "w").write("hidden")',
        '!ls data/prices.csv',
      ],
      '--file',
      elsewhere,
    );
    expect(exitCode).toBe(0);
    expect(cells[0]?.outputs).toMatchObject([
      { data: { 'text/plain': "(['.ipython', 'data', 'weights.json'], False)" } },
    ]);
    const made = join(folder, 'out_files');
    expect(stdout.trim().split('\n')).toEqual(
      ['made/deep/prices.xlsx', 'made/note é.txt', 'weights.json'].map(
        (name) => `made: ${join(made, name)}`,
      ),
    );
    expect(readFileSync(join(made, 'made/note é.txt'), 'utf8')).toBe('two\n');
    expect(readFileSync(join(made, 'weights.json'), 'utf8')).toBe('{"tea": 2}\n');
    expect(readFileSync(join(made, 'made/deep/prices.xlsx')).subarray(0, 2).toString()).toBe('PK');
    expect(existsSync(join(made, 'data'))).toBe(false);
  });

  it('comes back with its files although a cell failed', async () => {
    rmSync(join(folder, 'out_files'), { recursive: true, force: true });
    const { exitCode } = await runCells(['open("half.txt", "w").write("half")\n1 / 0']);
    expect(exitCode).toBe(1);
    expect(readFileSync(join(folder, 'out_files/half.txt'), 'utf8')).toBe('half');
  });

  it('without any code needs no session', async () => {
    const { exitCode, cells } = await runCells(['']);
    expect(exitCode).toBe(0);
    expect(cells[0]?.outputs).toEqual([]);
  });

  it('prints the reason of a refusal, and keeps no session', async () => {
    const before = (await poolStatus(gateway)).busyWorkers;
    const large = join(folder, 'large.bin');
    writeFileSync(large, '');
    truncateSync(large, 200 * 1_048_576);
    const words = { [SAMPLE]: SAMPLE, 'executed.ipynb': join(folder, 'out.ipynb') };
    const more = ['--file', large];
    const { exitCode, stderr } = await runExample(gateway, 'notebook.py', { words, more });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/Refused: .+/);
    expect((await poolStatus(gateway)).busyWorkers).toBe(before);
  });

  it('stops at the first cell that fails, and releases its session', async () => {
    const before = (await poolStatus(gateway)).busyWorkers;
    const { exitCode, cells } = await runCells(['x = 1', "print('before')\nx / 0", 'x']);
    expect(exitCode).toBe(1);
    expect(cells[1]?.outputs).toMatchObject([
      { output_type: 'stream', text: 'before\n' },
      {
        output_type: 'error',
        ename: 'ZeroDivisionError',
        evalue: 'division by zero',
        traceback: expect.arrayContaining([expect.stringContaining('ZeroDivisionError')]),
      },
    ]);
    expect(cells[2]).toMatchObject({ execution_count: null, outputs: [] });
    expect((await poolStatus(gateway)).busyWorkers).toBe(before);
  });

  it('goes on after a failure if asked to, even if the kernel died', async () => {
    const code = ['1 / 0', 'import os; os._exit(1)', "'alive'"];
    const { exitCode, cells } = await runCells(code, '--keep-going');
    expect(exitCode).toBe(1);
    expect(cells.map(kinds)).toEqual([['error'], ['error'], ['execute_result']]);
    expect(cells[1]?.outputs).toMatchObject([{ ename: 'KernelDied' }]);
  });
});
