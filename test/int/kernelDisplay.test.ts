/** Everything that Jupyter shows, in order: figures, all MIME types, updates, clearing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import {
  createKernelRunner,
  type KernelRunner,
  type Ran,
  textOf,
} from '../../testkit/kernelRunner.ts';

const START_TIMEOUT_MS = 60_000;
const PNG = /^iVBORw0KGgo/;

let server: AgentServer;
let runner: KernelRunner;
beforeAll(async () => {
  server = await startAgent();
  runner = createKernelRunner(server.address);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await runner?.close();
  await server?.close();
});

/** Runs code that must succeed and print nothing on stderr. */
async function shown(code: string): Promise<Ran> {
  const ran = await runner.run(code);
  expect(ran.outcome).toMatchObject({ status: 'OK', errorName: null, truncated: false });
  expect(textOf(ran, 'stderr')).toBe('');
  return ran;
}

/** `text` of a stream, `png` of a figure, else the kind. */
const order = ({ outputs }: Ran): string[] =>
  outputs.map((output) => {
    if (output.kind === 'stream') return output.text.trim();
    if (output.kind !== 'display') return output.kind;
    return PNG.test(String(output.data['image/png'])) ? 'png' : output.kind;
  });

describe('matplotlib', () => {
  it('draws inline at its first use, without messages about fonts or caches', async () => {
    const ran = await shown(
      'import matplotlib.pyplot as plt\nlines = plt.plot([0, 1])\nplt.show()',
    );
    expect(order(ran)).toEqual(['png']);
    expect(textOf(await shown('import matplotlib\nprint(matplotlib.get_backend())'))).toMatch(
      /inline/,
    );
  });

  it('shows every figure of a cell, in order', async () => {
    const ran = await shown(`for number in range(3):
    print("figure", number)
    figure = plt.figure()
    lines = plt.plot([0, number])
    plt.show()`);
    expect(order(ran)).toEqual(['figure 0', 'png', 'figure 1', 'png', 'figure 2', 'png']);
  });

  it('shows figures at the end of the cell even without plt.show()', async () => {
    const ran = await shown(`first, second = plt.figure(), plt.figure()
axes = first.subplots(), second.subplots()
print("drawn")`);
    expect(order(ran)).toEqual(['drawn', 'png', 'png']);
    expect((await shown('1')).outputs).toMatchObject([{ kind: 'result' }]);
  });

  it('reports an error in the middle of a chart, and shows the chart drawn until then', async () => {
    const ran = await runner.run('lines = plt.plot([0, 1])\n1 / 0');
    expect(ran.outcome).toMatchObject({ status: 'ERROR', errorName: 'ZeroDivisionError' });
    expect(order(ran).sort()).toEqual(['error', 'png']);
  });
});

describe('what is displayed', () => {
  it('comes from the result itself if the result has its own display', async () => {
    const ran = await shown(`class Own:
    def _ipython_display_(self): print("own")
Own()`);
    expect(order(ran)).toEqual(['own']);
  });

  it('keeps every representation as it is', async () => {
    const ran = await shown(`from IPython.display import publish_display_data
class All:
    def __repr__(self): return "plain"
    def _repr_html_(self): return "<b>html</b>"
    def _repr_markdown_(self): return "*markdown*"
    def _repr_latex_(self): return "$x$"
    def _repr_json_(self): return {"a": [1, None, {"b": "ü"}]}
    def _repr_javascript_(self): return "1"
    def _repr_svg_(self): return "<svg/>"
    def _repr_png_(self): return b"\\x89PNG\\r\\n\\x1a\\n"
    def _repr_jpeg_(self): return b"\\xff\\xd8\\xff"
display(All())
publish_display_data({"application/vnd.vega.v5+json": {"marks": []}, "text/x-own": "own"}, {"width": 7})
All()`);
    const all = {
      'text/plain': 'plain',
      'text/html': '<b>html</b>',
      'text/markdown': '*markdown*',
      'text/latex': '$x$',
      'application/json': { a: [1, null, { b: 'ü' }] },
      'application/javascript': '1',
      'image/svg+xml': '<svg/>',
      'image/png': expect.stringMatching(PNG),
      'image/jpeg': expect.any(String),
    };
    expect(ran.outputs).toMatchObject([
      { kind: 'display', data: all },
      {
        kind: 'display',
        data: { 'application/vnd.vega.v5+json': { marks: [] }, 'text/x-own': 'own' },
        metadata: { width: 7 },
      },
      { kind: 'result', data: all },
    ]);
  });

  it('comes in order with the prints on both streams', async () => {
    const ran = await runner.run(`import sys
for number in range(20):
    print("o", number)
    print("e", number, file=sys.stderr)
    display(number)`);
    // There is no promise about how text is cut into pieces.
    const seen: string[] = [];
    for (const output of ran.outputs) {
      if (output.kind !== 'stream') seen.push(output.kind);
      else if (seen.at(-1)?.startsWith(output.name)) seen.push(`${seen.pop()}${output.text}`);
      else seen.push(`${output.name} ${output.text}`);
    }
    const wanted = Array.from({ length: 20 }, (_, n) => [
      `stdout o ${n}\n`,
      `stderr e ${n}\n`,
      'display',
    ]);
    expect(seen).toEqual(wanted.flat());
  });

  it('is updated by its id, even from a later execution, and cleared', async () => {
    const first = await shown('handle = display("one", display_id="it")\nhandle.update("two")');
    const later = await shown(`from IPython.display import clear_output
handle.update("three")
clear_output()
clear_output(wait=True)
print("after")`);
    expect(first.outputs).toMatchObject([
      { kind: 'display', displayId: 'it', data: { 'text/plain': "'one'" } },
      { kind: 'update', displayId: 'it', data: { 'text/plain': "'two'" } },
    ]);
    expect(later.outputs).toMatchObject([
      { kind: 'update', displayId: 'it', data: { 'text/plain': "'three'" } },
      { kind: 'clear', wait: false },
      { kind: 'clear', wait: true },
      { kind: 'stream', text: 'after\n' },
    ]);
  });
});
