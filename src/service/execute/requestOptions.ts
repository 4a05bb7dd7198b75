/** The options of a request: how they are recorded, and which features of the worker they need. */
import { type ExecutionOptions, isCommand } from '../../domain/executionOptions.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Commit } from '../../events/store/eventStore.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { hasFeature, type WorkerFeature } from '../sessions/workerFeature.ts';
import type { ValidRequest } from './validateRequest.ts';

/** The options of the request as its event records them. Empty for plain code. */
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

/** The environment variables of the request. The commit stores them, but no event contains them. */
export function variablesOf(
  { environmentVariables: values }: ValidRequest,
  executionId: NonNullable<Commit['executionVariables']>['executionId'],
): Pick<Commit, 'executionVariables'> {
  return Object.keys(values).length > 0 ? { executionVariables: { executionId, values } } : {};
}

/**
 * A feature that the request needs and the worker lacks. Null: the worker can run the request. @throws
 * POOL_INITIALIZING
 */
export async function missingFeature(
  deps: Pick<ServiceDeps, 'pool'>,
  worker: Worker,
  request: ValidRequest,
): Promise<WorkerFeature | null> {
  for (const feature of neededFeatures(request))
    if (!(await hasFeature(deps, worker, feature))) return feature;
  return null;
}

/** The features that the request needs. An agent that lacks one of them would ignore that part of the request. */
export function neededFeatures({ isProcess }: ValidRequest): WorkerFeature[] {
  return isProcess ? ['processes'] : [];
}
