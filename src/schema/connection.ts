/** Lists in pages, as Relay's connections: `edges { cursor node }` and `pageInfo`. They are read forwards only. */
import type { ListPage } from '../service/lists/page.ts';
import { builder } from './builder.ts';

const PageInfo = builder.objectRef<ListPage<unknown>>('PageInfo').implement({
  description: 'Where a page ends.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether there is more after it.' }),
    hasPreviousPage: t.boolean({
      description: 'Always false: lists are read forwards.',
      resolve: () => false,
    }),
    startCursor: t.string({
      nullable: true,
      description: 'The cursor of its first edge; null if it is empty.',
      resolve: ({ edges }) => edges[0]?.cursor ?? null,
    }),
    endCursor: t.string({
      nullable: true,
      description: 'The cursor of its last edge; null if it is empty.',
      resolve: ({ edges }) => edges.at(-1)?.cursor ?? null,
    }),
  }),
});

type Ref<T> = ReturnType<ReturnType<typeof builder.objectRef<T>>['implement']>;

/** Defines `<name>Connection` and `<name>Edge` for pages of `node`. */
export function connectionOf<T>(name: string, node: Ref<T>) {
  const Edge = builder.objectRef<ListPage<T>['edges'][number]>(`${name}Edge`).implement({
    description: `One of a list, and its place there.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'For `after`.' }),
      node: t.field({
        type: node,
        description: 'The thing itself.',
        resolve: ({ item }) => item as never,
      }),
    }),
  });
  return builder.objectRef<ListPage<T>>(`${name}Connection`).implement({
    description: 'A page of a list.',
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        description: 'What is on this page.',
        resolve: ({ edges }, _args, context, info) => context.answer(info).listItems(edges),
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'Whether there is more.',
        resolve: (page) => page,
      }),
    }),
  });
}

/** The arguments that every list takes. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ description: 'At most so many, 1 to 1,000; 100 if it is left out.' }),
  after: t.string({ description: 'Only what comes after this cursor.' }),
}));
