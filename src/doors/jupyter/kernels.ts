/** The kernels of a caller. A kernel is a context: its id is that of the context. */
import { DomainError } from '../../domain/errors.ts';
import { singleUser, type Users } from '../../domain/users.ts';
import type { KernelView } from '../../service/contexts/kernels.ts';
import type { Principal } from '../../service/principal.ts';
import type { BoundService } from '../../service/service.ts';
import { userPrefixOf } from '../shared/target.ts';

/** The open WebSockets of this gateway, by kernel. */
export interface Connections {
  of(kernelId: string): number;
  /**
   * Adds a connection. The returned function removes it. If the client has a name, an older connection of the same name
   * to the same kernel is replaced.
   */
  add(connection: Connection): () => void;
}

interface Connection {
  readonly kernelId: string;
  /** The name that the client gives itself. Null: it gives none. */
  readonly reader: string | null;
  /** Called when another connection has replaced this one. */
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
  /** A token for one user: all contexts of that user's session except the default one, which other doors use. */
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
   * @param folder the folder in which the kernel starts, relative to the home. A default context starts in the home
   * @param environment the environment of the kernel's session, which is opened if necessary. Null (the usual kernel)
   * and undefined (no choice) also accept a session that is open in any environment
   * @throws SESSION_OPTIONS_DIFFER if the session is open, but not in the environment that is named
   */
  start(folder: string | null, environment: string | null | undefined): Promise<KernelView>;
  /** @throws NOT_FOUND */
  end(id: string): Promise<void>;
  /**
   * Interrupts the running execution. Waiting executions then run, unless the interrupted one has the option
   * `stopOnError`.
   * @throws NOT_FOUND
   */
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
      // Waiting executions are interrupted in reverse order, so that none of them begins meanwhile. The restart itself
      // ends the running one.
      for (const waiting of unfinished.slice(1).reverse()) await service.interrupt(waiting);
      await service.restartKernel(userUuid, context.id);
      return await find(id);
    },
  };
}

/**
 * Opens the user's session in an environment, unless it is open. All kernels of a session use its environment. That
 * holds also if the client asks for the usual kernel (null): a notebook that was made elsewhere names that kernel
 * although nobody has chosen it.
 */
async function openIn(
  service: BoundService,
  userUuid: string,
  environment: string | null | undefined,
): Promise<void> {
  const session = await service.session(userUuid);
  const isOpen = session !== null && session.closedAt === null;
  if (isOpen && environment && session.environment !== environment) {
    const its =
      session.environment === null ? 'no environment' : `the environment ${session.environment}`;
    throw new DomainError(
      'SESSION_OPTIONS_DIFFER',
      `Every kernel of this user's open session uses ${its}. Release the session first, or choose a kernel that uses ${its}.`,
      { sessionId: session.id, options: ['environment'] },
    );
  }
  // Null, the usual kernel, counts as a choice only if the user's last session had an environment.
  const isChosen = environment !== undefined && (session?.environment ?? environment) !== null;
  if (!isOpen && isChosen) await service.openSession({ userUuid, environment });
}

function targetOfKernels(principal: Principal): Target {
  const userUuid = singleUser(principal.users);
  if (userUuid !== null) return { type: 'contexts', userUuid };
  return { type: 'sessions', prefix: userPrefixOf(principal) };
}

function noKernel(id: string): DomainError {
  return new DomainError('NOT_FOUND', `Kernel does not exist: ${shortened(id)}`);
}

/** Cuts a name that a client sent, because it may be too long to be repeated in an answer. */
export function shortened(name: string): string {
  return name.length > MAX_SHOWN_CHARS ? `${name.slice(0, MAX_SHOWN_CHARS)}...` : name;
}

const MAX_SHOWN_CHARS = 64;
