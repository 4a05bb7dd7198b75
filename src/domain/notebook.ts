/**
 * The life of a notebook: a document, or a console, that a Jupyter client works on, and the context that runs its
 * cells. Jupyter calls this a session. The document itself is stored by the client, or is a file in the worker.
 *
 * ```
 *  (none) --open--> open --change--> open --close--> closed
 * ```
 * A notebook whose context has ended is no longer listed, although nothing has closed it.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ContextId, NotebookId, SessionId } from './ids.ts';

export const NOTEBOOK_TYPES = ['notebook', 'console', 'file'] as const;
export type NotebookType = (typeof NOTEBOOK_TYPES)[number];

/** Facts about a notebook that its client states, and may change. */
export interface NotebookFacts {
  /** The path as the client names it. The gateway never opens it. */
  readonly path: string;
  readonly name: string;
  readonly type: NotebookType;
  /** For the default context, the id of its session. */
  readonly contextId: ContextId | SessionId;
  /** The user to whom the context belongs. */
  readonly userUuid: string;
}

export type NotebookEvent =
  | Event<'NotebookOpened', NotebookFacts & { notebookId: NotebookId; tenant: string }>
  | Event<'NotebookChanged', NotebookFacts>
  | Event<'NotebookClosed', Record<never, never>>;

/** The state that a notebook's events fold into, which is also its row. `version` is that of its stream. */
export interface Notebook extends NotebookFacts {
  readonly id: NotebookId;
  readonly version: number;
  readonly tenant: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
}

export type NotebookCommand = { readonly at: string } & (
  | ({ readonly type: 'OpenNotebook' } & { readonly opened: Opened })
  | { readonly type: 'ChangeNotebook'; readonly facts: NotebookFacts }
  | { readonly type: 'CloseNotebook' }
);

type Opened = Omit<Extract<NotebookEvent, { type: 'NotebookOpened' }>['data'], 'at'>;

/**
 * The events that a command on a notebook records. Pure. A closed notebook records nothing more.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideNotebook(
  command: NotebookCommand,
  notebook: Notebook | null,
): NotebookEvent[] {
  const { at } = command;
  if (command.type === 'OpenNotebook') {
    if (notebook !== null) throw new WrongStateError('notebook', stateOf(notebook), command.type);
    return [{ type: 'NotebookOpened', data: { at, ...command.opened } }];
  }
  if (notebook === null) throw new WrongStateError('notebook', 'not open', command.type);
  if (notebook.closedAt !== null) return [];
  switch (command.type) {
    case 'ChangeNotebook':
      return [{ type: 'NotebookChanged', data: { at, ...command.facts } }];
    case 'CloseNotebook':
      return [{ type: 'NotebookClosed', data: { at } }];
    default:
      return command satisfies never;
  }
}

function stateOf({ closedAt }: Notebook): string {
  return closedAt === null ? 'open' : 'closed';
}

/**
 * The notebook after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveNotebook(state: Notebook | null, event: NotebookEvent): Notebook {
  const at = new Date(event.data.at);
  if (event.type === 'NotebookOpened') {
    const { at: _, notebookId: id, ...data } = event.data;
    return { id, version: (state?.version ?? 0) + 1, ...data, openedAt: at, closedAt: null };
  }
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'NotebookChanged': {
      const { at: _, ...facts } = event.data;
      return { ...next, ...facts };
    }
    case 'NotebookClosed':
      return { ...next, closedAt: at };
    default:
      return event satisfies never;
  }
}
