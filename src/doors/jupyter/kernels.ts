/** The kernels of a caller. A kernel is a context: its id is that of the context. */
import { DomainError } from '../../domain/errors.ts';
import { singleUser, type Users } from '../../domain/users.ts';
import type { KernelView } from '../../service/contexts/kernels.ts';
import type { Principal } from '../../service/principal.ts';
import type { BoundService } from '../../service/service.ts';
import { sessionPrefixOf } from '../shared/target.ts';

/** The open WebSockets of this gateway, by kernel. */
export interface Connections {
  of(kernelId: string): number;
  /**
   * The returned function takes it out.
   * @param reader what its client calls itself. An older connection to the kernel with the same name is replaced
   */
  add(connection: Connection): () => void;
}

interface Connection {
  readonly kernelId: string;
  readonly reader: string | null;
  /** Another connection has taken its place. */
  replaced(): void;
}

export function createConnections(): Connections {
  const open = new Set<Connection>();
  return {
    of: (kernelId) => [...open].filter((each) => each.kernelId === kernelId).length,
    add: (connection) => {
      const { kernelId, reader } = connection;
      for (const each of open) {
        if (reader === null || each.kernelId !== kernelId || each.reader !== reader) continue;
        open.delete(each);
        each.replaced();
      }
      open.add(connection);
      return () => void open.delete(connection);
    },
  };
}

/** Where the kernels of a caller are. */
type Target =
  /** A token for one user: contexts of that user's session, beside the default one, which other doors use. */
  | { readonly type: 'contexts'; readonly userUuid: string }
  /** Any other token: each kernel is the default context of a session of its own, whose user has this prefix. */
  | { readonly type: 'sessions'; readonly prefix: string };

interface Caller {
  readonly principal: Principal;
  readonly service: BoundService;
}

export interface Kernels {
  list(): Promise<readonly KernelView[]>;
  /** @throws NOT_FOUND also for a context that is no kernel of the caller */
  find(id: string): Promise<KernelView>;
  /**
   * @param folder in which it begins, relative to the home; only contexts begin elsewhere than in the home
   * @param environment of its session, which is opened if there is none. Null: none. Undefined: any
   * @throws SESSION_OPTIONS_DIFFER if the session that it would be in is of another environment
   */
  start(folder: string | null, environment: string | null | undefined): Promise<KernelView>;
  /** @throws NOT_FOUND */
  end(id: string): Promise<void>;
  /** Ends what runs in it. What waits goes on, unless it was sent to stop on an error. @throws NOT_FOUND */
  interrupt(id: string): Promise<void>;
  /** Replaces the kernel. What runs or waits in it ends. @throws NOT_FOUND */
  restart(id: string): Promise<KernelView>;
  readonly users: Users;
  /** The user whose files the caller sees here. Null: each kernel has files of its own. */
  readonly filesOf: string | null;
}

export function kernelsOf({ principal, service }: Caller, newId: () => string): Kernels {
  const place = targetOfKernels(principal);
  const users: Users =
    place.type === 'contexts' ? { uuid: place.userUuid } : { prefix: place.prefix };
  const isHere = ({ context, userUuid }: KernelView) =>
    place.type === 'contexts'
      ? userUuid === place.userUuid && !context.isDefault
      : userUuid.startsWith(place.prefix) && context.isDefault;

  async function find(id: string): Promise<KernelView> {
    const found = await service.kernel(id);
    if (found === null || !isHere(found)) throw noKernel(id);
    return found;
  }

  return {
    users,
    filesOf: place.type === 'contexts' ? place.userUuid : null,
    find,
    list: async () => (await service.kernels(users)).filter(isHere),
    start: async (workingDirectory, environment) => {
      if (place.type === 'sessions') {
        const userUuid = place.prefix + newId();
        const { id } = await service.openSession({ userUuid, environment: environment ?? null });
        return await find(id);
      }
      const { userUuid } = place;
      await openIn(service, userUuid, environment);
      const { id } = await service.createContext({ userUuid, workingDirectory });
      return await find(id);
    },
    end: async (id) => {
      const { context, userUuid } = await find(id);
      if (context.isDefault) await service.release(userUuid);
      else await service.deleteContext(userUuid, context.id);
    },
    interrupt: async (id) => {
      const [running] = (await find(id)).unfinished;
      if (running !== undefined) await service.interrupt(running);
    },
    restart: async (id) => {
      const { context, userUuid, unfinished } = await find(id);
      // The last first, so that none of them begins meanwhile. The restart itself ends the one that runs.
      for (const waiting of unfinished.slice(1).reverse()) await service.interrupt(waiting);
      await service.restartKernel(userUuid, context.id);
      return await find(id);
    },
  };
}

/**
 * Opens the user's session in an environment, unless it is open. All kernels of a session are of its environment, so
 * those of none are, too: a notebook that was made elsewhere names the usual kernel without a choice.
 */
async function openIn(
  service: BoundService,
  userUuid: string,
  environment: string | null | undefined,
): Promise<void> {
  const session = await service.session(userUuid);
  const isOpen = session !== null && session.closedAt === null;
  if (isOpen && environment && session.environment !== environment) {
    const its = session.environment === null ? 'no environment' : session.environment;
    throw new DomainError(
      'SESSION_OPTIONS_DIFFER',
      `This user's session is open in ${its}, and all of its kernels are of that. Release the session first, or choose a kernel of ${its}.`,
      { sessionId: session.id, options: ['environment'] },
    );
  }
  // After a session in an environment, whoever starts a kernel has chosen its environment.
  const isChosen = environment !== undefined && (session?.environment ?? environment) !== null;
  if (!isOpen && isChosen) await service.openSession({ userUuid, environment });
}

function targetOfKernels(principal: Principal): Target {
  const userUuid = singleUser(principal.users);
  if (userUuid !== null) return { type: 'contexts', userUuid };
  return { type: 'sessions', prefix: sessionPrefixOf(principal) };
}

function noKernel(id: string): DomainError {
  return new DomainError('NOT_FOUND', `Kernel does not exist: ${shortened(id)}`);
}

/** What a client sends may be long, and is no text for an answer. */
export function shortened(name: string): string {
  return name.length > MAX_SHOWN_CHARS ? `${name.slice(0, MAX_SHOWN_CHARS)}...` : name;
}

const MAX_SHOWN_CHARS = 64;
