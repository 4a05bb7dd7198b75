/** `Role`. */
import { ROLES } from '../../domain/token.ts';
import { builder } from '../builder.ts';

const ROLE_DESCRIPTIONS: Readonly<Record<(typeof ROLES)[number], string>> = {
  OPERATOR: 'May do everything, for all tenants.',
  TENANT: 'May do everything for all users of one tenant.',
  USER: 'May do everything for one user of a tenant, or for those whose name begins so.',
  AUDITOR: 'May read lists and history of one tenant. Runs and changes nothing.',
};

export const Role = builder.enumType('Role', {
  description: 'What the holder of a token may do.',
  values: Object.fromEntries(
    ROLES.map((role) => [role, { description: ROLE_DESCRIPTIONS[role] }]),
  ) as Record<(typeof ROLES)[number], { description: string }>,
});
