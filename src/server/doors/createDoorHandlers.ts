import type { Config } from '../../config/config.ts';
import { createTokenEnd } from '../../service/access/tokenEnd.ts';
import type { Service } from '../../service/service.ts';
import {
  createDoorCounts,
  createDoorFiles,
  createDoorRoute,
  type DoorCounts,
  type DoorFilesDeps,
  type DoorRoute,
  type DoorRouteDeps,
} from './doorRoute.ts';
import { createDoorSockets, createSocketsOfTokens, type DoorSockets } from './doorSockets.ts';
import { createDoorUpgrade, type DoorUpgradeRoute } from './doorUpgrade.ts';
import { createFindDoor, createHostCheck } from './enterDoor.ts';

type Made = 'findDoor' | 'hostCheck' | 'counts' | 'files' | 'stopping';
type Limits = 'corsOrigins' | 'maxBodyBytes' | 'slowReaderTimeoutMs';

export interface DoorHandlersDeps
  extends Omit<DoorRouteDeps, Made | Limits>,
    Pick<DoorFilesDeps, 'fileCounts'> {
  readonly config: Config;
  readonly service: Service;
}

export interface DoorHandlers {
  readonly doorRoute: DoorRoute;
  readonly doorUpgrade: DoorUpgradeRoute;
  readonly doorCounts: DoorCounts;
  readonly doorSockets: DoorSockets;
  /**
   * Must be called when the server stops. Ends the streams of doors, and closes their WebSockets with 1012. Resolves
   * when the WebSockets are closed. Idempotent.
   */
  stop(): Promise<void>;
}

/** Creates the handlers of the doors' requests and WebSockets, and the counters for both. */
export function createDoorHandlers(deps: DoorHandlersDeps): DoorHandlers {
  const { config, doors } = deps;
  const stopping = createTokenEnd(() => null);
  const shared = {
    ...{ ...deps, ...config },
    doors,
    stopping,
    findDoor: createFindDoor(doors),
    hostCheck: createHostCheck(config),
  };
  const doorCounts = createDoorCounts();
  const doorSockets = createDoorSockets(shared);
  return {
    doorRoute: createDoorRoute({ ...shared, counts: doorCounts, files: createDoorFiles(deps) }),
    doorUpgrade: createDoorUpgrade({
      ...shared,
      sockets: doorSockets,
      socketsOfTokens: createSocketsOfTokens(),
    }),
    doorCounts,
    doorSockets,
    stop: async () => {
      stopping.end();
      await doorSockets.close();
    },
  };
}
