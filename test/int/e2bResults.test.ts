/** Charts, tables, JSON and pictures at E2B's door, with a real worker: what its clients find in a result. */
import { beforeAll, expect, it } from 'vitest';
import { type Line, type Sandbox, useSandboxes } from '../support/e2b/sandboxes.ts';

const PNG = /^iVBORw0KGgo/;
const CHART = `import matplotlib.pyplot as plt
plt.bar(["a", "b"], [1, 2.5], label="Sold")
plt.xlabel("kind"); plt.ylabel("mass (kg)"); plt.title("Größe")
plt.show()`;

const { open } = await useSandboxes();
let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await open({ E2B_SANDBOX: 'true' });
});

/** The results of code that prints nothing and has no error. On a busy machine, the door also sends keep-alives. */
async function resultsOf(code: string, more: object = {}): Promise<Line[]> {
  const [number, ...lines] = await sandbox.run({ code, ...more });
  expect(number?.type).toBe('number_of_executions');
  expect(lines.pop()).toEqual({ type: 'end_of_execution' });
  return lines.filter(({ type }) => type !== 'keepalive');
}

it('a figure is one result, with its picture and its chart', async () => {
  const bar = { group: 'Sold' };
  expect(await resultsOf(CHART)).toEqual([
    {
      type: 'result',
      text: expect.stringMatching(/^<Figure size .* with 1 Axes>$/),
      png: expect.stringMatching(PNG),
      is_main_result: false,
      chart: {
        type: 'bar',
        title: 'Größe',
        x_label: 'kind',
        y_label: 'mass (kg)',
        x_unit: null,
        y_unit: 'kg',
        elements: [
          { ...bar, label: 'a', value: 1 },
          { ...bar, label: 'b', value: 2.5 },
        ],
      },
    },
  ]);
});

it('a figure has its chart in every context, with its values written as floats', async () => {
  const created = await sandbox.call(0, 'POST', '/contexts', {});
  const { id } = (await created.json()) as { id: string };
  expect(await resultsOf(CHART, { context_id: id })).toMatchObject([{ chart: { type: 'bar' } }]);
  const body = { code: CHART, context_id: id };
  const text = await (await sandbox.call(1, 'POST', '/execute', body)).text();
  expect(text).toContain('"value":1.0}');
  expect(text).toMatch(/"title":"Gr\\u00f6\\u00dfe"/);
});

it('a blank figure has no chart', async () => {
  const [result] = await resultsOf('import matplotlib.pyplot as plt\nplt.grid()\nplt.show()');
  expect(Object.keys(result ?? {}).sort()).toEqual(['is_main_result', 'png', 'text', 'type']);
});

it('a table has its data', async () => {
  const code = `import pandas as pd
pd.DataFrame({"a": [1, 2], "b": [0.5, None], 3: pd.to_datetime(["2024-01-02", None])})`;
  expect(await resultsOf(code)).toEqual([
    {
      type: 'result',
      text: expect.stringContaining('2024-01-02'),
      html: expect.stringContaining('<table'),
      data: { 3: ['2024-01-02T00:00:00', null], a: [1, 2], b: [0.5, null] },
      is_main_result: true,
    },
  ]);
});

it('lists and dicts have JSON if JSON can express them, and other values do not', async () => {
  const main = { type: 'result', is_main_result: true };
  expect(await resultsOf('[1, None]')).toEqual([{ ...main, text: '[1, None]', json: [1, null] }]);
  expect(await resultsOf('{1: {2}}')).toEqual([{ ...main, text: '{1: {2}}' }]);
  expect(await resultsOf('{"a": 1}')).toMatchObject([{ json: { a: 1 } }]);
  expect(await resultsOf('1')).toEqual([{ ...main, text: '1' }]);
});

it('a picture is displayed when it is saved or shown', async () => {
  const image = 'from PIL import Image\nimage = Image.new("RGB", (2, 2))\n';
  for (const code of ['image.save("a.png")', 'image.show()'])
    expect(await resultsOf(image + code)).toMatchObject([
      { png: expect.stringMatching(PNG), is_main_result: false },
    ]);
});
