/** A kernel must deliver outputs of all kinds, in order. */
import { describe, expect, it } from 'vitest';
import { textOf } from '../../testkit/kernelRunner.ts';
import { useKernel } from '../support/kernelContract.ts';

describe('a kernel', () => {
  const kernel = useKernel();

  it('separates stdout from stderr, and delivers both before the result', async () => {
    const ran = await kernel.runner.run(
      'import sys\nprint("o")\nprint("e", file=sys.stderr)\n41 + 1',
    );
    expect(textOf(ran)).toBe('o\n');
    expect(textOf(ran, 'stderr')).toBe('e\n');
    expect(ran.outputs.at(-1)).toMatchObject({
      kind: 'result',
      data: { 'text/plain': '42' },
      executionCount: ran.outcome.executionCount,
    });
  });

  it('keeps the order of many outputs of several kinds', async () => {
    const ran = await kernel.runner.run(
      'for i in range(50):\n print(f"{i},", end="", flush=True)\n display(i)',
    );
    const order = ran.outputs.flatMap((output) => {
      if (output.kind === 'stream') return output.text.split(',').filter(Boolean);
      return output.kind === 'display' ? [`d${output.data['text/plain']}`] : [];
    });
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => [`${i}`, `d${i}`]).flat());
  });

  it('brings outputs of every kind, in the order in which they were made', async () => {
    const ran = await kernel.runner.run(`
import sys
from IPython.display import HTML, clear_output
print("o", flush=True)
handle = display(HTML("<b>1</b>"), display_id="kinds")
print("e", file=sys.stderr, flush=True)
handle.update(HTML("<b>2</b>"))
clear_output(wait=True)
"shown"`);
    expect(ran.outputs).toMatchObject([
      { kind: 'stream', name: 'stdout', text: 'o\n' },
      { kind: 'display', data: { 'text/html': '<b>1</b>' }, displayId: 'kinds' },
      { kind: 'stream', name: 'stderr', text: 'e\n' },
      { kind: 'update', data: { 'text/html': '<b>2</b>' }, displayId: 'kinds' },
      { kind: 'clear', wait: true },
      { kind: 'result', data: { 'text/plain': "'shown'" } },
    ]);
  });

  it('brings all of a bundle, with its metadata', async () => {
    const ran = await kernel.runner.run(`
bundle = {"text/plain": "p", "text/html": "<i>h</i>", "text/latex": "$l$", "text/markdown": "*m*",
          "image/svg+xml": "<svg/>", "application/json": {"a": [1, 2.5, None, True, {"b": "\\u6b63"}]},
          "application/vnd.own.v1+json": []}
display(bundle, raw=True, metadata={"image/svg+xml": {"width": 3}})`);
    expect(ran.outputs).toEqual([
      {
        kind: 'display',
        data: {
          'text/plain': 'p',
          'text/html': '<i>h</i>',
          'text/latex': '$l$',
          'text/markdown': '*m*',
          'image/svg+xml': '<svg/>',
          'application/json': { a: [1, 2.5, null, true, { b: '正' }] },
          'application/vnd.own.v1+json': [],
        },
        metadata: { 'image/svg+xml': { width: 3 } },
        displayId: null,
        executionCount: null,
      },
    ]);
  });

  it('brings bytes as base64', async () => {
    const ran = await kernel.runner.run(
      'from IPython.display import Image\nImage(b"\\x89PNG\\r\\n\\x1a\\n" + bytes(range(256)) * 4_000, format="png")',
    );
    const [output] = ran.outputs;
    if (output?.kind !== 'result') throw new Error('no result');
    const png = Buffer.from(String(output.data['image/png']), 'base64');
    expect(png).toHaveLength(8 + 1_024_000);
    expect(png.subarray(0, 4).toString('latin1')).toBe('\u0089PNG');
  });

  it('brings every figure of a cell, shown or not', async () => {
    const ran = await kernel.runner.run(`
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.show()
plt.figure(); plt.plot([2, 1])`);
    const figures = ran.outputs.filter(
      (output) => output.kind === 'display' && 'image/png' in output.data,
    );
    expect(figures).toHaveLength(2);
  });

  it('shows a table as text and as HTML', async () => {
    const ran = await kernel.runner.run('import pandas as pd\npd.DataFrame({"a": [1, 2]})');
    expect(ran.outputs).toMatchObject([
      {
        kind: 'result',
        data: {
          'text/plain': expect.stringContaining('a'),
          'text/html': expect.stringContaining('<table'),
        },
      },
    ]);
  });

  it('updates a display of an earlier execution by its id', async () => {
    const first = await kernel.runner.run('display("one", display_id="far")\nprint("x")');
    expect(first.outputs[0]).toMatchObject({ kind: 'display', displayId: 'far' });
    const second = await kernel.runner.run(
      'from IPython.display import update_display\nupdate_display("two", display_id="far")',
    );
    expect(second.outputs).toMatchObject([
      { kind: 'update', displayId: 'far', data: { 'text/plain': "'two'" } },
    ]);
  });

  it('clears the output at once or with the next output', async () => {
    const ran = await kernel.runner.run(
      'from IPython.display import clear_output\nclear_output()\nclear_output(wait=True)',
    );
    expect(ran.outputs.filter(({ kind }) => kind === 'clear')).toEqual([
      { kind: 'clear', wait: false },
      { kind: 'clear', wait: true },
    ]);
  });

  it('delivers a display with 5 MB of HTML', async () => {
    const ran = await kernel.runner.run(
      'display({"text/plain": "", "text/html": "x" * 5_000_000}, raw=True)',
    );
    const [output] = ran.outputs;
    expect(output).toMatchObject({ kind: 'display' });
    expect(output?.kind === 'display' && String(output.data['text/html']).length).toBe(5_000_000);
  });

  it('may send messages of unused types, which are skipped', async () => {
    const { counts } = kernel.runner.recorded;
    const before = counts.invalid;
    const ran = await kernel.runner.run(
      [
        'kernel = get_ipython().kernel',
        'kernel.session.send(kernel.iopub_socket, "a_new_type", {"x": 1}, parent=kernel.get_parent("shell"))',
        'print("after")',
      ].join('\n'),
    );
    expect(textOf(ran)).toBe('after\n');
    expect(ran.outcome.status).toBe('OK');
    expect(counts.invalid).toBe(before);
  });
});
