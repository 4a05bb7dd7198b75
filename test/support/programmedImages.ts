/** Images that are in this process alone: what a build prints and how it ends is up to the test. */
import {
  type BuildListener,
  BuildStepError,
  type ImageBuild,
  type Images,
} from '../../src/runtime/images.ts';

export interface ProgrammedBuild {
  readonly build: ImageBuild;
  /** Prints, as the engine does. */
  print(text: string): void;
  /** The build succeeds. */
  succeed(imageId: string, bytes?: number): void;
  /** A program of this step fails. */
  fail(step: number, exitCode?: number): void;
  /** The build ends with a failure of something else. */
  breakOff(error: Error): void;
  readonly signal: AbortSignal;
}

export interface ProgrammedImages {
  readonly images: Images;
  /** Every build that was begun. Each goes on until the test ends it, or its signal is aborted. */
  readonly builds: ProgrammedBuild[];
  /** The images that there are: by id, the version that each is of. */
  readonly all: Map<string, ImageBuild['environmentId']>;
  /** The names of images that count as used. */
  readonly used: string[];
  /** Resolves with the build that is begun as the `count`-th, from 1. */
  begun(count: number): Promise<ProgrammedBuild>;
}

const BASE_BYTES = 1_000;

export function createProgrammedImages(): ProgrammedImages {
  const builds: ProgrammedBuild[] = [];
  const all = new Map<string, ImageBuild['environmentId']>();
  const used: string[] = [];
  const waiting = new Set<() => void>();

  const build: Images['build'] = (asked, listener) =>
    new Promise((resolve, reject) => {
      const { onText, signal }: BuildListener = listener;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      builds.push({
        ...{ build: asked, print: onText, signal },
        succeed: (imageId, bytes = 2 * BASE_BYTES) => {
          all.set(imageId, asked.environmentId);
          resolve({ imageId, bytes });
        },
        breakOff: reject,
        fail: (step, exitCode = 1) =>
          reject(new BuildStepError(step, `The command of step ${step} failed`, exitCode)),
      });
      for (const wake of [...waiting]) wake();
    });

  return {
    builds,
    all,
    used,
    images: {
      labels: ({ environmentId }) => `LABEL environment=${environmentId}`,
      build,
      bytesOf: async (id) => (id.startsWith('sha256:') && !all.has(id) ? null : BASE_BYTES),
      list: async () => [...all].map(([imageId, environmentId]) => ({ imageId, environmentId })),
      noteUse: async (_, name) => void used.push(name),
      remove: async (imageId) => {
        all.delete(imageId);
        return true;
      },
    },
    begun: (count) =>
      new Promise((resolve) => {
        const look = () => {
          const found = builds[count - 1];
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
