import { describe, expect, it } from 'vitest';
import { imageLabels, imagesToPrune } from '../../scripts/setup/pruneImages.mjs';

const DAY_MS = 86_400_000;
const NOW_MS = 2_000_000_000_000;

/** An image that was last used this many days ago. */
interface Used {
  readonly days: number;
  readonly names: readonly string[];
  readonly label?: Parameters<typeof imageLabels>[0];
}

/** The name of a worker image, with the days in place of a hash. */
const worker = (days: number): Used => ({ days, names: [workerName(days)], label: 'worker' });
const workerName = (days: number) => `cellhouse-worker:${String(days).padStart(16, '0')}`;

/** @param containers indices of the images that have containers */
function prune(images: readonly Used[], containers: readonly number[] = []): string[] {
  const listed = images.map(({ names, label }, index) => ({
    Id: `sha256:${index}`,
    RepoTags: names,
    Labels: label ? imageLabels(label) : null,
  }));
  const lastUsed = new Map(
    images.map(({ days }, index) => [`sha256:${index}`, NOW_MS - days * DAY_MS]),
  );
  const inUse = new Set(containers.map((index) => `sha256:${index}`));
  return imagesToPrune(listed, { lastUsed, inUse, nowMs: NOW_MS });
}

describe('worker images that can go', () => {
  it('are all that were not used for 30 days except the three used last, whatever order they come in', () => {
    const images = [90, 20, 30, 29, 70, 4].map(worker);
    expect(prune(images)).toEqual([workerName(30), workerName(70), workerName(90)]);
    expect(prune([90, 40, 70].map(worker))).toEqual([]);
  });

  it('are not those that a container was made of', () => {
    expect(prune([31, 32, 33, 34, 35].map(worker), [3])).toEqual([workerName(35)]);
  });

  it('may lack the label, which older images do not have', () => {
    const old = [31, 32, 33, 34].map((days) => ({ days, names: [workerName(days)] }));
    expect(prune(old)).toEqual([workerName(34)]);
  });

  it('are not those that somebody built from ours or gave another name', () => {
    const theirs = ['mine:1', 'cellhouse-worker:latest', 'registry.test/cellhouse-worker:0'];
    const images = [...[1, 2, 3].map(worker), ...theirs.map((name) => named('worker', name))];
    expect(prune(images)).toEqual([]);
    expect(prune([...[1, 2, 3].map(worker), named('worker', workerName(90), 'mine:1')])).toEqual(
      [],
    );
    expect(prune([named('worker')])).toEqual([]);
  });
});

/** An image that was last used 90 days ago. */
function named(label: Used['label'], ...names: string[]): Used {
  return { days: 90, names, ...(label && { label }) };
}

describe('images of tests that can go', () => {
  it('are all that were not used for 7 days', () => {
    const image = (days: number): Used => ({ days, names: [`cellhouse-test-x:${days}`] });
    expect(prune([1, 6.9, 7, 30].map(image))).toEqual([
      'cellhouse-test-x:7',
      'cellhouse-test-x:30',
    ]);
    expect(prune([image(30)], [0])).toEqual([]);
  });

  it('are those that lost their name, and stand-ins for other images', () => {
    expect(prune([named('test'), named('test', 'node:24-trixie-slim')])).toEqual([
      'sha256:0',
      'node:24-trixie-slim',
    ]);
  });

  it('are those made from a worker image, with its label', () => {
    expect(prune([named('worker', 'cellhouse-test-ending:1')])).toEqual([
      'cellhouse-test-ending:1',
    ]);
  });
});

it('of the gateway’s images only those without a name can go', () => {
  expect(prune([named('gateway', 'cellhouse-gateway:latest'), named('gateway')])).toEqual([
    'sha256:1',
  ]);
});

it('images of others never go', () => {
  expect(prune([named(undefined), named(undefined, 'postgres:18')])).toEqual([]);
});

it('images of environments go if no gateway has used them for 30 days, and so do leftovers of builds', () => {
  const environment = (days: number, ...names: string[]): Used => ({
    days,
    names,
    label: 'environment',
  });
  const images = [
    environment(29, 'cellhouse-environment:science-1-0123abcd'),
    environment(30, 'cellhouse-environment:science-2-0123abcd'),
    environment(31, 'cellhouse-environment:science-3-0123abcd'),
    environment(31),
    environment(31, 'mine:1'),
  ];
  expect(prune(images, [2])).toEqual(['cellhouse-environment:science-2-0123abcd', 'sha256:3']);
});
