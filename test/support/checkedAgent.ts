/** Images with the agent, its tests and checkers: one in which they can run, and one in which they have passed. */
import type Docker from 'dockerode';
import { hashFiles } from '../../scripts/setup/hashFiles.mjs';
import { ensureTestImage } from '../../testkit/testImage.ts';

/** Ends a build that hangs. A build takes a minute on an idle machine, and six on a very busy one. */
export const CHECKS_TIMEOUT_MS = 1_200_000;
const SOURCES = ['check.Dockerfile', 'agent'];
/** Caches of Python's tools, which are not part of the sources. */
const CACHE = /(^|\/)(__pycache__|\.mypy_cache|\.pytest_cache)(\/|$)/;

/**
 * Builds the image in which all checks of the agent have passed, unless it exists.
 * @returns its name
 * @throws if a check fails
 */
export async function checkedAgent(docker: Docker): Promise<string> {
  // What the checks run in has a name of its own, so a check that fails leaves no image without one.
  await agentWithTests(docker);
  return await imageOf(docker, 'agent');
}

/** The same without running the checks: any of the agent's tests can be run in a container of it. */
export function agentWithTests(docker: Docker): Promise<string> {
  return imageOf(docker, 'agent-tests', 'tests');
}

async function imageOf(docker: Docker, name: string, target?: string): Promise<string> {
  const { WORKER_IMAGE } = process.env;
  if (!WORKER_IMAGE)
    throw new Error('WORKER_IMAGE is not set. npm test builds the image and sets it.');
  const context = new URL('../../worker-image', import.meta.url).pathname;
  const { Id } = await docker.getImage(WORKER_IMAGE).inspect();
  return await ensureTestImage(docker, {
    name,
    madeOf: hashFiles(context, SOURCES, { salt: Id, skip: (path) => CACHE.test(path) }),
    context: { context, src: SOURCES },
    options: {
      dockerfile: 'check.Dockerfile',
      buildargs: { WORKER_IMAGE },
      ...(target && { target }),
    },
  });
}
