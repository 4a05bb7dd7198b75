/** What a request asks for beside its code: what is recorded of it, and what its worker must be able to do. */
import { type ExecutionOptions, isCommand } from '../../domain/executionOptions.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Commit } from '../../events/store/eventStore.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { hasFeature, type WorkerFeature } from '../sessions/workerFeature.ts';
import type { ValidRequest } from './validateRequest.ts';

/** What the event has of it. Nothing of it for plain code. */
export function optionsOf(request: ValidRequest, contextId: ContextId | null): ExecutionOptions {
  const { keepAlive, stopOnError, allowInput, pty, workingDirectory, environmentVariables } =
    request;
  const { label, silent, storeHistory, userExpressions } = request;
  const environmentVariableNames = Object.keys(environmentVariables).sort();
  return {
    ...(isCommand(request) && { language: 'BASH' }),
    ...(contextId !== null && { contextId }),
    ...(keepAlive && { keepAlive }),
    ...(stopOnError && { stopOnError }),
    ...(allowInput && { allowInput }),
    ...(pty !== null && { pty }),
    ...(workingDirectory !== null && { workingDirectory }),
    ...(environmentVariableNames.length > 0 && { environmentVariableNames }),
    ...(label !== null && { label }),
    ...(silent && { silent }),
    ...(!silent && !storeHistory && { storeHistory }),
    ...(userExpressions.length > 0 && { userExpressions }),
  };
}

/** What its commit writes that no event has. */
export function variablesOf(
  { environmentVariables: values }: ValidRequest,
  executionId: NonNullable<Commit['executionVariables']>['executionId'],
): Pick<Commit, 'executionVariables'> {
  return Object.keys(values).length > 0 ? { executionVariables: { executionId, values } } : {};
}

/** What the worker would have to be able to do, and cannot. Null: it can run the request. @throws POOL_INITIALIZING */
export async function missingFeature(
  deps: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  request: ValidRequest,
): Promise<WorkerFeature | null> {
  for (const feature of neededFeatures(request))
    if (!(await hasFeature(deps, worker, feature))) return feature;
  return null;
}

/** Those that an older agent would ignore. */
export function neededFeatures({ isProcess }: ValidRequest): WorkerFeature[] {
  return isProcess ? ['processes'] : [];
}
