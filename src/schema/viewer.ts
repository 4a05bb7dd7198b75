/** `Viewer`: the caller. */
import type { Principal } from '../service/principal.ts';
import { Role } from './access/role.ts';
import { builder } from './builder.ts';

const Viewer = builder.objectRef<Principal>('Viewer').implement({
  description: 'The caller, as the token identifies them.',
  fields: (t) => ({
    tenant: t.exposeString('tenant', {
      description: 'The tenant whose executions and sessions the caller sees.',
    }),
    role: t.expose('role', { type: Role, description: 'What the caller may do.' }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'The caller, as the token identifies them.',
    resolve: (_root, _args, { principal }) => principal,
  }),
);
