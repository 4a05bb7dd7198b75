/** How a result is written for the clients of E2B: the Python client tells `1` from `1.0`. */
import { expect, it } from 'vitest';
import { eventLine } from '../../src/doors/e2b/interpreter/eventStream.ts';

const CHART = {
  type: 'line',
  title: 'Zürich "1" \\ 2',
  x_label: null,
  x_ticks: [0, 1, 1.5, -2, 1e20, 1e21, 1e-7, 2n ** 60n + 1n],
  elements: [{ label: '\u2028', points: [['2024-01-02', -0]] }],
};

it('whole numbers in a chart are written with a fraction, and those elsewhere without', () => {
  const line = eventLine({
    type: 'result',
    json: [1, 2n ** 60n + 1n],
    chart: CHART,
    text: '1',
    is_main_result: true,
  });
  expect(line).toBe(
    '{"type":"result","json":[1,1152921504606846977],"text":"1","is_main_result":true,' +
      '"chart":{"type":"line","title":"Z\\u00fcrich \\"1\\" \\\\ 2","x_label":null,' +
      '"x_ticks":[0.0,1.0,1.5,-2.0,100000000000000000000.0,1e+21,1e-7,1152921504606846977.0],' +
      '"elements":[{"label":"\\u2028","points":[["2024-01-02",0.0]]}]}}\n',
  );
  expect(JSON.parse(line).chart.x_ticks.slice(0, 4)).toEqual([0, 1, 1.5, -2]);
});

it('results without a chart, and other events, are written as plain JSON', () => {
  const event = { type: 'result', text: '1', is_main_result: false } as const;
  expect(eventLine(event)).toBe('{"type":"result","text":"1","is_main_result":false}\n');
  expect(eventLine({ type: 'end_of_execution' })).toBe('{"type":"end_of_execution"}\n');
});
