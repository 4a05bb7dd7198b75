/** Uses each library and program of the worker image once, which docs/run/environments.md lists. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { EXTENT } from '../extent.ts';
import { LIBRARY_USES, PROGRAM_USES } from '../support/imageUses.ts';
import { readPage } from '../support/userPages.ts';

/** Enough for the first import of a large library, under gVisor, on a busy machine. */
const TIMEOUT_MS = 60_000;
const PLOTLY = 'application/vnd.plotly.v1+json';

type Bundle = Readonly<Record<string, unknown>>;

it('fits with all npm packages on the disk that docs/run/install.md asks for', async () => {
  const [, gib] =
    /\*\*Disk\*\*: (\d+) GiB for program and worker image/.exec(readPage('docs/run/install.md')) ??
    [];
  const { Size } = await new Docker().getImage(workerImage()).inspect();
  const packages = new URL('../../node_modules/', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('du', ['--bytes', '--summarize', packages]);
  expect(Size + Number.parseInt(stdout, 10)).toBeLessThan(Number(gib) * 2 ** 30);
});

describe.each(EXTENT.runtimes)('in a worker under %s', (tier) => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
    });
  });
  afterAll(() => gateway?.destroy());

  const run = (code: string) => execute(gateway, 'ann', code, { timeoutMs: TIMEOUT_MS });
  const displayed = async (code: string): Promise<readonly Bundle[]> => {
    const { id, ...ran } = await run(code);
    expect(ran).toMatchObject({ status: 'OK', stderr: '' });
    const { data } = await gateway.graphql<{ execution: { outputs: { data?: Bundle }[] } }>(
      'query Look($id: ID!) { execution(id: $id) { outputs { ... on RichOutput { data } } } }',
      { id },
    );
    return (data?.execution.outputs ?? []).flatMap((output) => (output.data ? [output.data] : []));
  };

  it.each(Object.entries({ ...LIBRARY_USES, ...PROGRAM_USES }))(
    'code uses %s',
    async (_, { code, stdout }) => {
      expect(await run(code)).toMatchObject({ status: 'OK', stdout, stderr: '' });
    },
  );

  it('seaborn draws a picture', async () => {
    const [chart] = await displayed(`import pandas as pd, seaborn as sns
axes = sns.scatterplot(pd.DataFrame({"x": [1, 2, 3], "y": [3, 1, 2]}), x="x", y="y")`);
    expect(chart?.['image/png']).toMatch(/^iVBOR/);
  });

  it('plotly shows a chart as data, and as a small page for a browser', async () => {
    const [chart, ...more] = await displayed(`import plotly.express as px
px.bar(x=["a", "b"], y=[1, 2])`);
    expect(more).toEqual([]);
    expect(chart?.[PLOTLY]).toMatchObject({ data: [{ type: 'bar', x: ['a', 'b'], y: [1, 2] }] });
    expect(chart?.['text/html']).toMatch(
      /^<html>[\s\S]*src="https:\/\/cdn\.plot\.ly\/[\s\S]*<\/html>/,
    );
    expect(String(chart?.['text/html']).length).toBeLessThan(50_000);
  });

  it('plotly writes a page that needs no network', async () => {
    const ran = await run(`import plotly.express as px
px.bar(x=["a"], y=[1]).write_html("chart.html")
page = open("chart.html").read(); print(len(page) > 1_000_000, 'src="http' in page)`);
    expect(ran).toMatchObject({ status: 'OK', stdout: 'True False\n' });
  });

  it('ipywidgets show themselves as text', async () => {
    const [slider] = await displayed('import ipywidgets\nipywidgets.IntSlider(value=3)');
    expect(slider?.['text/plain']).toBe('IntSlider(value=3)');
  });

  it('a function under interact runs once', async () => {
    const ran = await run(`import ipywidgets
def show(n): print("n is", n)
shown = ipywidgets.interact(show, n=2)`);
    expect(ran).toMatchObject({ status: 'OK', stdout: 'n is 2\n' });
  });
});
