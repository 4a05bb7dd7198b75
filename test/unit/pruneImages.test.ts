import { describe, expect, it } from 'vitest';
import { imagesToPrune } from '../../scripts/setup/pruneImages.mjs';

const DAY_S = 86_400;
const NOW_S = 2_000_000_000;

/** So many days old, and named for that. */
const image = (days: number) => ({
  Id: `sha256:${days}`,
  Created: NOW_S - days * DAY_S,
  RepoTags: [`cellhouse-worker:${days}`],
});
const prune = (days: readonly number[], used: readonly string[] = []) =>
  imagesToPrune(days.map(image), new Set(used), NOW_S * 1_000);

describe('worker images that can go', () => {
  it('are all but the newest three, in whatever order the engine tells of them', () => {
    expect(prune([9, 2, 30, 4, 7])).toEqual(['cellhouse-worker:9', 'cellhouse-worker:30']);
    expect(prune([9, 2, 30])).toEqual([]);
  });

  it('are not those that a container was made of', () => {
    expect(prune([2, 3, 4, 5, 6], ['sha256:5'])).toEqual(['cellhouse-worker:6']);
  });

  it('are not those that were made within the last day', () => {
    expect(prune([0.1, 0.2, 0.3, 0.4, 0.99, 1])).toEqual(['cellhouse-worker:1']);
  });
});
