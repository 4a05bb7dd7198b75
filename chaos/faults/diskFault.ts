import type { FaultKind } from './fault.ts';

/** How long the disk stays full. The user goes on meanwhile. */
const FULL_MS = [1_000, 6_000] as const;

/** The user's own code fills the disk, as in real life. */
export const diskFault: FaultKind = {
  name: 'disk: full',
  weight: 6,
  candidates: ({ users, random }) =>
    users.map((user) => ({
      resource: `user ${user.name}`,
      on: { user: user.name },
      strike: async () => {
        const filled = await user.ask('fill');
        if (filled?.answer?.status !== 'OK') return null;
        // If the worker was lost meanwhile, the file is gone with it, and `unfill` accepts that.
        const heal = async () => void (await user.ask('unfill'));
        return { holdMs: random.between(...FULL_MS), heal };
      },
    })),
};
