/** `/sandboxes/{id}`: what it is, its end, and its network. */
import { answerJson } from '../answer.ts';
import { refuse } from './body.ts';
import { detailModel } from './models.ts';
import { beginAnswer, endOf, factsOf, gone, openSandbox, userIn } from './openSandbox.ts';
import type { ControlCall } from './route.ts';

/** @throws DomainError */
export async function getSandbox(request: ControlCall): Promise<void> {
  const { call, deps } = request;
  const { sandboxId, userUuid, session } = await openSandbox(request);
  const answer = beginAnswer(call);
  const endAt = endOf(answer, session, deps.now());
  if (endAt === null) throw gone(sandboxId);
  const facts = await factsOf(answer, session, { sandboxId, endAt });
  // Whoever may only look gets no key to use it.
  const mayUse = call.principal.role !== 'AUDITOR';
  const key = mayUse ? await call.service.sessionKey(userUuid) : null;
  answerJson(call.res, 200, detailModel(session, facts, key));
}

/** @throws DomainError */
export async function killSandbox({ call, sandboxId }: ControlCall): Promise<void> {
  const released = await call.service.release(userIn(call, sandboxId));
  if (released === null) throw gone(sandboxId);
  call.res.writeHead(204).end();
}

/** @throws DomainError always: what a session may reach is decided when it opens */
export async function updateNetwork(request: ControlCall): Promise<void> {
  await openSandbox(request);
  refuse('The network of a sandbox is decided when it is created, and cannot be changed.');
}
