/** `Viewer`: who the caller is. */
import type { Principal } from '../service/principal.ts';
import { builder } from './builder.ts';

const Viewer = builder.objectRef<Principal>('Viewer').implement({
  description: 'Who the token is.',
  fields: (t) => ({
    tenant: t.exposeString('tenant', { description: 'Whose executions and sessions it sees.' }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who the token is.',
    resolve: (_root, _args, { principal }) => principal,
  }),
);
