/**
 * The interface to whatever makes images for workers. An image that is made here belongs to a pool and to a version of
 * one of its environments, and so do the layers that a build leaves behind.
 */
import type { EnvironmentId, PoolId } from '../domain/ids.ts';

export interface ImageBuild {
  readonly poolId: PoolId;
  readonly environmentId: EnvironmentId;
  /** Holds the `Dockerfile`, whose first step is {@link Images.labels}, and all that it copies. */
  readonly folder: string;
  /** `repository:tag`, which the image gets once all of it is built. */
  readonly name: string;
  readonly memoryMb: number;
  readonly cpus: number;
  /** The engine's network for the steps of the build. */
  readonly network: string;
}

export interface BuildListener {
  /** What the build prints, as it comes. */
  readonly onText: (text: string) => void;
  /** Ends the build. */
  readonly signal: AbortSignal;
}

export interface BuiltImage {
  readonly imageId: string;
  /** With those of the images below it. */
  readonly bytes: number;
}

/** An image that belongs to a pool, or the last layer of a build that was broken off. */
export interface ListedImage {
  readonly imageId: string;
  /** Read from its label. Null if the label is missing or is not an id. */
  readonly environmentId: EnvironmentId | null;
}

/** A step of the build has failed. */
export class BuildStepError extends Error {
  /** Its number, from 1. 0: none had begun. */
  readonly step: number;
  /** Null if it was not a program that failed. */
  readonly exitCode: number | null;
  constructor(step: number, message: string, exitCode: number | null) {
    super(message);
    this.name = 'BuildStepError';
    this.step = step;
    this.exitCode = exitCode;
  }
}

/** The images of one pool, on the engine that the pool was made on. Failures are those of a {@link Runtime}. */
export interface Images {
  /** The `LABEL` step after `FROM`. It marks every layer of the build with its pool and environment. */
  labels(of: Pick<ImageBuild, 'poolId' | 'environmentId'>): string;
  /** @throws BuildStepError, RuntimeError, or the reason of the signal */
  build(build: ImageBuild, listener: BuildListener): Promise<BuiltImage>;
  /** The size of an image, with those of the images below it. Null: there is no such image. */
  bytesOf(imageId: string): Promise<number | null>;
  /** The images of the pool that no other image is built on. */
  list(poolId: PoolId): Promise<ListedImage[]>;
  /** Names the image anew: the engine records the time, by which old images are found. No error if there is no such image. */
  noteUse(imageId: string, name: string): Promise<void>;
  /** Removes the image and the layers that nothing else needs. Resolves with false while a container uses the image. */
  remove(imageId: string): Promise<boolean>;
}
