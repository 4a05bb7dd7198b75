import type { DoorRequest, KeyShown, Stopping } from '../../doors/openDoor.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { Service } from '../../service/service.ts';
import { type Authenticate, type AuthenticateKey, isRefusal } from '../http/authenticate.ts';
import type { AddressOf } from '../http/clientAddress.ts';
import { tokenGiven } from './doorTokens.ts';
import type { FoundDoor } from './findDoor.ts';

export interface EnterDoorDeps {
  readonly authenticate: Authenticate;
  readonly authenticateKey: AuthenticateKey;
  readonly addressOf: AddressOf;
  readonly service: Pick<Service, 'boundTo'>;
  readonly stopping: Stopping;
}

/** Authenticates a request by its token, or by the key or signature that it shows. */
export async function enterDoor(
  { authenticate, authenticateKey, addressOf, service, stopping }: EnterDoorDeps,
  { door, request, taken }: FoundDoor,
  shown?: KeyShown,
): Promise<DoorRequest | Refusal> {
  const { req } = request;
  const origin = { door: door.name, address: addressOf(req) };
  const principal = shown
    ? await authenticateKey(shown, origin)
    : await authenticate(tokenGiven(taken, req, door.credentials), origin);
  if (isRefusal(principal)) return principal;
  return { ...request, principal, service: service.boundTo(principal), stopping };
}
