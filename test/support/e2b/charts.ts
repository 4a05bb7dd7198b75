/** Figures of each kind, and the chart that comes with each. */

import { expect } from 'vitest';

export interface ChartCase {
  readonly title: string;
  readonly code: string;
  /** Compared by `toMatchObject`. */
  readonly chart: object;
}

const isText = (value: unknown) => typeof value === 'string';
const isNumber = (value: unknown) => typeof value === 'number';
const isPointInTime = (point: unknown) =>
  Array.isArray(point) && point.length === 2 && isText(point[0]) && isNumber(point[1]);

/** Matches a list that is not empty, and whose items all pass this check. */
const every = (check: (item: unknown) => boolean): unknown =>
  expect.toSatisfy((list: unknown) => Array.isArray(list) && list.length > 0 && list.every(check));
const LABELLED_TICKS = {
  y_ticks: every(isNumber),
  x_tick_labels: every(isText),
  y_tick_labels: every(isText),
};

export const CHARTS: readonly ChartCase[] = [
  {
    title: 'bars',
    code: `
import matplotlib.pyplot as plt
plt.bar(["north", "south", "east"], [12, 7, 30], label="rain")
plt.xlabel("region")
plt.ylabel("height (mm)")
plt.title("Rain by region")
plt.show()`,
    chart: {
      type: 'bar',
      title: 'Rain by region',
      x_label: 'region',
      y_label: 'height (mm)',
      x_unit: null,
      y_unit: 'mm',
      elements: [
        { label: 'north', group: 'rain', value: 12 },
        { label: 'south', group: 'rain', value: 7 },
        { label: 'east', group: 'rain', value: 30 },
      ],
    },
  },
  {
    title: 'boxes with whiskers',
    code: `
import matplotlib.pyplot as plt
runs = {"old": [10, 11, 12, 13, 14], "new": [1, 20, 21, 22, 23, 24]}
figure, axes = plt.subplots()
axes.boxplot(runs.values(), labels=runs.keys(), patch_artist=True)
axes.set_title("Runs")
axes.set_xlabel("version")
axes.set_ylabel("seconds")
plt.show()`,
    chart: {
      type: 'box_and_whisker',
      title: 'Runs',
      x_label: 'version',
      y_label: 'seconds',
      x_unit: null,
      y_unit: null,
      elements: [
        {
          label: 'old',
          min: 10,
          first_quartile: 11,
          median: 12,
          third_quartile: 13,
          max: 14,
          outliers: [],
        },
        {
          label: 'new',
          min: 20,
          first_quartile: 20.25,
          median: 21.5,
          third_quartile: 22.75,
          max: 24,
          outliers: [1],
        },
      ],
    },
  },
  {
    title: 'lines over dates',
    code: `
import datetime
import matplotlib.pyplot as plt
days = [datetime.date(2024, 2, day) for day in range(1, 29)]
plt.plot(days, [day.day for day in days], label="up")
plt.plot(days, [-day.day for day in days], label="down")
plt.xlabel("Time (d)")
plt.ylabel("Voltage [V]")
plt.title("Up and down")
plt.show()`,
    chart: {
      type: 'line',
      title: 'Up and down',
      x_label: 'Time (d)',
      y_label: 'Voltage [V]',
      x_unit: 'd',
      y_unit: 'V',
      x_scale: 'datetime',
      y_scale: 'linear',
      x_ticks: every(isText),
      ...LABELLED_TICKS,
      elements: [
        { label: 'up', points: every(isPointInTime) },
        { label: 'down', points: every(isPointInTime) },
      ],
    },
  },
  {
    title: 'a logarithmic axis',
    code: `
import matplotlib.pyplot as plt
plt.plot([1, 2, 3], [10, 1000, 100000], label="growth")
plt.yscale("log")
plt.xlabel("round")
plt.ylabel("count (log)")
plt.title("Growth")
plt.legend()
plt.grid(True)
plt.show()`,
    chart: {
      type: 'line',
      title: 'Growth',
      x_label: 'round',
      y_label: 'count (log)',
      x_unit: null,
      y_unit: 'log',
      x_scale: 'linear',
      y_scale: 'log',
      x_ticks: every(isNumber),
      ...LABELLED_TICKS,
      elements: [
        {
          label: 'growth',
          points: [
            [1, 10],
            [2, 1000],
            [3, 100000],
          ],
        },
      ],
    },
  },
  {
    title: 'a pie',
    code: `
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
plt.xlabel("x")
axes.pie([75, 25], labels=["yes", "no"], autopct="%1.0f%%", startangle=45)
axes.axis("equal")
plt.title("Votes")
plt.show()`,
    chart: {
      type: 'pie',
      title: 'Votes',
      elements: [
        { label: 'yes', angle: 270, radius: 1 },
        { label: 'no', angle: 90, radius: 1 },
      ],
    },
  },
  {
    title: 'a scale of dates, in indented code',
    code: `
    import datetime
    import matplotlib.pyplot as plt
    moments = [datetime.datetime(2024, 2, 1, hour) for hour in range(24)]
    plt.plot(moments, range(24))
    plt.show()
    `,
    chart: { type: 'line', x_scale: 'datetime', y_scale: 'linear' },
  },
  {
    title: 'a scale of names, in indented code',
    code: `
    import matplotlib.pyplot as plt
    plt.plot([10, 20, 30, 40], ["bad", "fair", "good", "best"])
    plt.show()
    `,
    chart: { type: 'line', x_scale: 'linear', y_scale: 'categorical' },
  },
  {
    title: 'scattered points of two sets',
    code: `
import matplotlib.pyplot as plt
plt.xlabel("width")
plt.ylabel("height")
plt.scatter([1, 2, 3], [3, 2, 1], label="inner")
plt.scatter([5, 6], [6, 5], label="outer")
plt.show()`,
    chart: {
      type: 'scatter',
      title: null,
      x_label: 'width',
      y_label: 'height',
      x_ticks: every(isNumber),
      ...LABELLED_TICKS,
      elements: [
        {
          label: 'inner',
          points: [
            [1, 3],
            [2, 2],
            [3, 1],
          ],
        },
        {
          label: 'outer',
          points: [
            [5, 6],
            [6, 5],
          ],
        },
      ],
    },
  },
  {
    title: 'several charts in one figure',
    code: `
import matplotlib.pyplot as plt
figure, (left, right) = plt.subplots(1, 2)
figure.suptitle("Both")
left.plot([0, 1, 2], [0, 1, 4], "g")
left.set_title("Squares")
left.grid(True)
right.scatter([1, 2], [2, 1], label="pair")
right.set_xlabel("a")
right.set_ylabel("b")
right.set_title("Pair")
right.grid(True)
plt.show()`,
    chart: {
      type: 'superchart',
      title: 'Both',
      elements: [
        {
          type: 'line',
          title: 'Squares',
          x_label: null,
          y_label: null,
          elements: [
            {
              points: [
                [0, 0],
                [1, 1],
                [2, 4],
              ],
            },
          ],
        },
        {
          type: 'scatter',
          title: 'Pair',
          x_label: 'a',
          y_label: 'b',
          elements: [
            {
              points: [
                [1, 2],
                [2, 1],
              ],
            },
          ],
        },
      ],
    },
  },
  {
    title: 'a figure that is not a chart of a known kind',
    code: `
import matplotlib.pyplot as plt
figure, axes = plt.subplots()
axes.add_artist(plt.Circle((0, 0), 0.5, fill=False))
axes.add_artist(plt.Circle((0.5, 0.5), 0.25, fill=False))
axes.grid(True)
plt.title("Rings")
plt.show()`,
    chart: { type: 'unknown', title: 'Rings', elements: [] },
  },
];
