/**
 * The interface to the builder of worker images. Each image belongs to a pool and to a version of one of the pool's
 * environments. So does every layer that a build leaves behind.
 */
import type { EnvironmentId, PoolId } from '../domain/ids.ts';

export interface ImageBuild {
  readonly poolId: PoolId;
  readonly environmentId: EnvironmentId;
  /** Holds the `Dockerfile` and all files that it copies. The step after `FROM` is {@link Images.labels}. */
  readonly folder: string;
  /** `repository:tag`. The image gets this name when the whole build has succeeded. */
  readonly name: string;
  readonly memoryMb: number;
  readonly cpus: number;
  /** The engine's network for the steps of the build. */
  readonly network: string;
}

export interface BuildListener {
  /** Receives the output of the build as it arrives. */
  readonly onText: (text: string) => void;
  /** Aborting it ends the build. */
  readonly signal: AbortSignal;
}

export interface BuiltImage {
  readonly imageId: string;
  /** The size of the image, including the images that it is built on. */
  readonly bytes: number;
}

/** An image that belongs to a pool, or the last layer of an interrupted build. */
export interface ListedImage {
  readonly imageId: string;
  /** Read from its label. Null if the label is missing or is not an id. */
  readonly environmentId: EnvironmentId | null;
}

/** A step of the build has failed. */
export class BuildStepError extends Error {
  /** The number of the step, from 1. 0: no step had begun. */
  readonly step: number;
  /** The exit code of the program that failed. Null: the failure was not that of a program. */
  readonly exitCode: number | null;
  constructor(step: number, message: string, exitCode: number | null) {
    super(message);
    this.name = 'BuildStepError';
    this.step = step;
    this.exitCode = exitCode;
  }
}

/** The images of the pools on one engine. Failures are those of a {@link Runtime}. */
export interface Images {
  /** The `LABEL` step after `FROM`. It marks every layer of the build with its pool and environment. */
  labels(of: Pick<ImageBuild, 'poolId' | 'environmentId'>): string;
  /** @throws BuildStepError, RuntimeError, or the reason of the signal */
  build(build: ImageBuild, listener: BuildListener): Promise<BuiltImage>;
  /** The size of an image, including the images that it is built on. Null: there is no such image. */
  bytesOf(imageId: string): Promise<number | null>;
  /** The images of the pool that no other image is built on. */
  list(poolId: PoolId): Promise<ListedImage[]>;
  /**
   * Tags the image again. The engine records the time of the tag, by which unused images are found later. No error if
   * there is no such image.
   */
  noteUse(imageId: string, name: string): Promise<void>;
  /**
   * Removes the image and the layers that nothing else needs. Resolves with false if a container uses the image, or if
   * another image is built on it.
   */
  remove(imageId: string): Promise<boolean>;
}
