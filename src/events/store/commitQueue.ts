import { within } from '../../async/within.ts';
import { createBulkPace } from './bulkPace.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** A larger group gains nothing measurable. If one commit fails, all others in its group are sent again one by one. */
const MAX_GROUP_COMMITS = 64;
/** Limits the duration of a group, and thus the wait of the next one, to some 5 ms. A single commit may be larger. */
const MAX_GROUP_BYTES = 256 * 1024;
/** Commits up to this size (requests, starts and ends of runs, some lines) join a group even if it is full by bytes. */
const SMALL_BYTES = 16 * 1024;

export interface CommitQueue<R> {
  /** Resolves or rejects with the result of this commit alone, not of others in the same transaction. */
  push(prepared: PreparedCommit): Promise<R>;
  /** Resolves when no commit waits any more. */
  drained(): Promise<void>;
}

interface Waiting<R> {
  readonly prepared: PreparedCommit;
  readonly resolve: (result: R) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Sends one group at a time. Commits that arrive meanwhile form the next group. Commits that touch the same thing never
 * share a group and never overtake each other. Floods let others pass: see bulkPace.ts.
 * @param run commits a whole group and resolves with a result for each member in order. If it rejects, it has done
 * nothing.
 * @param canSplit whether the members of a group that was rejected with this error may be tried one by one
 */
export function createCommitQueue<R>(
  run: (group: readonly PreparedCommit[]) => Promise<readonly R[]>,
  canSplit: (error: unknown) => boolean,
): CommitQueue<R> {
  let waiting: Waiting<R>[] = [];
  let draining: Promise<void> | null = null;
  let pushed = () => {};
  const pace = createBulkPace();

  async function drain(): Promise<void> {
    // Commits made in the same tick share the first group.
    await null;
    while (waiting.length > 0) {
      const pauseMs = pace.pauseMs();
      const isHeld = pauseMs > 0 ? pace.isFlood : () => false;
      const { group, rest } = takeGroup(waiting, isHeld);
      if (group.length === 0) {
        await nextPush(pauseMs);
        continue;
      }
      waiting = rest;
      const beganAt = performance.now();
      await runGroup(group);
      pace.committed(group.map(preparedOf), waiting.map(preparedOf), performance.now() - beganAt);
    }
    draining = null;
  }

  /** Resolves at the next `push`, and after `ms` at the latest. */
  async function nextPush(ms: number): Promise<void> {
    const next = new Promise<void>((resolve) => {
      pushed = resolve;
    });
    await within(ms, next, () => undefined);
  }

  async function runGroup(group: readonly Waiting<R>[]): Promise<void> {
    try {
      const results = await run(group.map(({ prepared }) => prepared));
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (error: unknown) {
      if (group.length > 1 && canSplit(error)) {
        for (const member of group) await runGroup([member]);
      } else {
        for (const { reject } of group) reject(error);
      }
    }
  }

  return {
    push: (prepared) =>
      new Promise((resolve, reject) => {
        waiting.push({ prepared, resolve, reject });
        draining ??= drain();
        pushed();
      }),
    drained: async () => {
      await draining;
    },
  };
}

function preparedOf<R>({ prepared }: Waiting<R>): PreparedCommit {
  return prepared;
}

/**
 * Takes commits from the queue, in order. A commit is left for later if it is held back, if the group has no room for
 * it, or if it touches the same thing as a commit before it, taken or left.
 */
function takeGroup<R>(
  waiting: readonly Waiting<R>[],
  isHeld: (prepared: PreparedCommit) => boolean,
) {
  const group: Waiting<R>[] = [];
  const rest: Waiting<R>[] = [];
  const exclusive = new Set<string>();
  const shared = new Set<string>();
  let bytes = 0;
  for (const member of waiting) {
    const { prepared } = member;
    const isFree =
      ![...prepared.exclusive].some((name) => exclusive.has(name) || shared.has(name)) &&
      ![...prepared.shared].some((name) => exclusive.has(name));
    const hasRoom =
      group.length === 0 ||
      prepared.bytes <= SMALL_BYTES ||
      bytes + prepared.bytes <= MAX_GROUP_BYTES;
    if (isFree && hasRoom && group.length < MAX_GROUP_COMMITS && !isHeld(prepared)) {
      group.push(member);
      bytes += prepared.bytes;
    } else {
      rest.push(member);
    }
    for (const name of prepared.exclusive) exclusive.add(name);
    for (const name of prepared.shared) shared.add(name);
  }
  return { group, rest };
}
