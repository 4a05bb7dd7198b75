import type { FaultKind } from './fault.ts';

/** The user goes on meanwhile, on a full disk. */
const FULL_MS = [1_000, 6_000] as const;

/** The user's own code does it, as it would be in life. */
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
        // Gone with its worker, if that was lost meanwhile.
        const heal = async () => void (await user.ask('unfill'));
        return { holdMs: random.between(...FULL_MS), heal };
      },
    })),
};
