/** How environments are built. */
import { integer, matching, milliseconds, text } from './setting.ts';

export const ENVIRONMENTS = {
  buildNetwork: text({
    name: 'BUILD_NETWORK',
    text: "The engine's network in which [environments](environments.md) are built. With `host`, what a build installs and runs can reach all that listens on this machine, even on loopback.",
    fallback: 'bridge',
    allowed: 'bridge, host, none, or the name of a network of the Docker engine',
    parse: matching(/^[\w][\w.-]*$/),
  }),
  environmentBuildTimeoutMs: milliseconds({
    name: 'ENVIRONMENT_BUILD_TIMEOUT_MS',
    text: 'How long the build of an environment may take.',
    fallback: 1_800_000,
    min: 1_000,
  }),
  environmentMaxMb: integer({
    name: 'ENVIRONMENT_MAX_MB',
    text: 'How much disk space an environment may take in addition to the worker image, in MiB. The size is checked at the end of the build, which may take more meanwhile.',
    fallback: 4_096,
    min: 1,
    max: 1_048_576,
    unit: 'MiB',
  }),
  environmentBuildMemoryMb: integer({
    name: 'ENVIRONMENT_BUILD_MEMORY_MB',
    text: 'How much memory a step of a build may use, in MiB.',
    fallback: 2_048,
    min: 128,
    max: 1_048_576,
    unit: 'MiB',
  }),
  environmentBuildCpus: integer({
    name: 'ENVIRONMENT_BUILD_CPUS',
    text: 'How many CPUs a step of a build may use.',
    fallback: 1,
    min: 1,
    max: 512,
  }),
};
