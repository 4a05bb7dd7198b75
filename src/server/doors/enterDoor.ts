import type { IncomingMessage } from 'node:http';
import type { BoundService } from '../../doors/boundService.ts';
import type { DoorRequest, Stopping } from '../../doors/openDoor.ts';
import type { Principal } from '../../service/principal.ts';
import type { Refusal } from '../../service/refusal.ts';
import { type Authenticate, type AuthenticateKey, isRefusal } from '../http/authenticate.ts';
import type { AddressOf } from '../http/clientAddress.ts';
import { tokenGiven } from './doorTokens.ts';
import type { FoundDoor } from './findDoor.ts';

export interface EnterDoorDeps {
  readonly authenticate: Authenticate;
  readonly authenticateKey: AuthenticateKey;
  readonly addressOf: AddressOf;
  readonly bindService: (principal: Principal) => BoundService;
  readonly stopping: Stopping;
}

/** Authenticates a request by its token, or by its key or signature, before the door sees the request. */
export async function enterDoor(
  { authenticate, authenticateKey, addressOf, bindService, stopping }: EnterDoorDeps,
  { door, path, taken }: FoundDoor,
  req: IncomingMessage,
): Promise<DoorRequest | Refusal> {
  const origin = { door: door.name, address: addressOf(req) };
  const request = { req, method: req.method ?? 'GET', path, query: taken.query };
  const shown = door.keyShown?.(request) ?? null;
  const principal =
    shown === null
      ? await authenticate(tokenGiven(taken, req, door.credentials), origin)
      : await authenticateKey(shown, origin);
  if (isRefusal(principal)) return principal;
  return { ...request, principal, service: bindService(principal), stopping };
}
