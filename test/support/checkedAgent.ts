/** Images with the agent, its tests and checkers: one in which they can run, and one in which they have passed. */
import type Docker from 'dockerode';
import { hashFiles } from '../../scripts/setup/hashFiles.mjs';
import { ensureTestImage } from '../../testkit/testImage.ts';

/** Ends a build that hangs. A build takes minutes, and more on a busy machine. */
export const CHECKS_TIMEOUT_MS = 1_200_000;
/** Names of the files with tests, in parts that take about as long. Most tests wait, so one alone leaves CPUs idle. */
const PARTS = ['test_[a-i]*.py', 'test_[!a-i]*.py'];
const SOURCES = ['check.Dockerfile', 'agent'];
/** Caches of Python's tools, which are not part of the sources. */
const CACHE = /(^|\/)(__pycache__|\.mypy_cache|\.pytest_cache)(\/|$)/;

/**
 * Builds the images in which the checks of the agent have passed, and together all its tests, unless they exist. The
 * builds run side by side.
 * @returns their names
 * @throws if a check or test fails
 */
export async function checkedAgents(docker: Docker): Promise<readonly string[]> {
  // What they begin with is built once.
  await agentWithTests(docker);
  return await Promise.all(
    PARTS.map((tests, part) =>
      imageOf(docker, `agent-${part + 1}`, { buildargs: { TESTS: tests } }),
    ),
  );
}

/** The same without running the checks: any of the agent's tests can be run in a container of it. */
export function agentWithTests(docker: Docker): Promise<string> {
  return imageOf(docker, 'agent-tests', { target: 'tests' });
}

async function imageOf(
  docker: Docker,
  name: string,
  how: { readonly buildargs?: Record<string, string>; readonly target?: string },
): Promise<string> {
  const { WORKER_IMAGE } = process.env;
  if (!WORKER_IMAGE)
    throw new Error('WORKER_IMAGE is not set. npm test builds the image and sets it.');
  const context = new URL('../../worker-image', import.meta.url).pathname;
  const { Id } = await docker.getImage(WORKER_IMAGE).inspect();
  return await ensureTestImage(docker, {
    name,
    madeOf: hashFiles(context, SOURCES, {
      salt: JSON.stringify([Id, how]),
      skip: (path) => CACHE.test(path),
    }),
    context: { context, src: SOURCES },
    options: {
      dockerfile: 'check.Dockerfile',
      ...how,
      buildargs: { ...how.buildargs, WORKER_IMAGE },
    },
  });
}
