import { secretHash } from '../../domain/secretHash.ts';
import { decideToken, type Token } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type TokenRequest, validateToken } from './validateToken.ts';

export interface TokenWithSecret {
  readonly token: Token;
  /** Nothing keeps it: this is the only time that it can be read. */
  readonly secret: string;
}

/** Makes a token. @throws BAD_USER_INPUT */
export async function createToken(
  {
    database,
    newId,
    newSecret,
    now,
  }: Pick<ServiceDeps, 'database' | 'newId' | 'newSecret' | 'now'>,
  principal: Principal,
  request: TokenRequest,
): Promise<TokenWithSecret> {
  const { tenant, ...asked } = validateToken(request, now());
  const [id, secret] = [newId<Token['id']>(), newSecret()];
  const facts = {
    tokenId: id,
    tenant: tenant ?? principal.tenant,
    secretSha256: secretHash(secret),
  };
  const command = { type: 'CreateToken', at: now().toISOString(), ...asked, ...facts } as const;
  const { states } = await database.store.commit({
    streams: [{ stream: 'token', id, state: null, events: decideToken(command, null) }],
  });
  return { token: states[0] as Token, secret };
}
