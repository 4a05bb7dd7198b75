import { builder } from '../builder.ts';

export const Role = builder.enumType('Role', {
  description: 'What the holder of a token may do.',
  values: {
    OPERATOR: { description: 'May do everything, for all tenants.' },
    TENANT: { description: 'May do everything for all users of one tenant.' },
    USER: {
      description: 'May do everything for one user of a tenant, or for those whose name begins so.',
    },
    AUDITOR: {
      description: 'May read lists and history of one tenant. Runs and changes nothing.',
    },
  } as const,
});
