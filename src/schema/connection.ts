/** Lists in pages, like Relay's connections: `edges { cursor node }` and `pageInfo`. They can only be read forwards. */
import type { ListPage } from '../service/lists/page.ts';
import { builder } from './builder.ts';

const PageInfo = builder.objectRef<ListPage<unknown>>('PageInfo').implement({
  description: 'Where a page begins and ends, and whether another follows.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether another page follows.' }),
    hasPreviousPage: t.boolean({
      description: 'Always false, because lists can only be read forwards.',
      resolve: () => false,
    }),
    startCursor: t.string({
      nullable: true,
      description: 'The cursor of the first edge. Null if the page is empty.',
      resolve: ({ edges }) => edges[0]?.cursor ?? null,
    }),
    endCursor: t.string({
      nullable: true,
      description:
        'The cursor of the last edge, for `after` of the next page. Null if the page is empty.',
      resolve: ({ edges }) => edges.at(-1)?.cursor ?? null,
    }),
  }),
});

type Ref<T> = ReturnType<ReturnType<typeof builder.objectRef<T>>['implement']>;

/** Defines `<name>Connection` and `<name>Edge` for pages of `node`. */
export function connectionOf<T>(name: string, node: Ref<T>) {
  const Edge = builder.objectRef<ListPage<T>['edges'][number]>(`${name}Edge`).implement({
    description: 'An item of a list, and its place there.',
    fields: (t) => ({
      cursor: t.exposeString('cursor', {
        description: 'The place in the list. As `after`, it gives the items that follow.',
      }),
      node: t.field({
        type: node,
        description: 'The item.',
        resolve: ({ item }) => item as never,
      }),
    }),
  });
  return builder.objectRef<ListPage<T>>(`${name}Connection`).implement({
    description: 'A page of a list.',
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        description: 'The items of this page.',
        resolve: async ({ edges }, _args, context, info) => context.answer(info).listItems(edges),
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'The cursors of this page, and whether another follows.',
        resolve: (page) => page,
      }),
    }),
  });
}

/** The arguments that every list takes. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ description: 'The largest number of items, 1 to 1,000. Default 100.' }),
  after: t.string({ description: 'Only items after this cursor.' }),
}));
