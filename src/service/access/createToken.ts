import { DomainError } from '../../domain/errors.ts';
import { secretHash } from '../../domain/secretHash.ts';
import { decideToken, type Token, type UsedToken } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type TokenRequest, validateToken } from './validateToken.ts';

export interface TokenWithSecret {
  readonly token: UsedToken;
  /** It is stored nowhere, so this is the only time that it can be read. */
  readonly secret: string;
}

/** Makes a token. @throws BAD_USER_INPUT; QUOTA_EXCEEDED if there are MAX_TOKENS */
export async function createToken(
  {
    config: { maxTokens },
    database,
    newId,
    newSecret,
    now,
  }: Pick<ServiceDeps, 'config' | 'database' | 'newId' | 'newSecret' | 'now'>,
  principal: Principal,
  request: TokenRequest,
): Promise<TokenWithSecret> {
  const { tenant, ...asked } = validateToken(request, now());
  // A gateway of an earlier release would refuse the token.
  await database.firstUse.allow('tokens');
  if ((await database.queries.tokenCount()) >= maxTokens) throw tooMany(maxTokens);
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
  return { token: { ...(states[0] as Token), lastUsedAt: null }, secret };
}

/** Calls at the same time may together exceed the limit by their number, which costs a little memory. */
function tooMany(limit: number): DomainError {
  return new DomainError(
    'QUOTA_EXCEEDED',
    `There are ${limit} tokens already. Revoke one, or raise MAX_TOKENS.`,
    { limit },
  );
}
