import type { Config } from '../../config/config.ts';

/** The settings of a worker's agent (docs/worker-protocol.md, "Container environment"). */
export function agentEnvironment(
  config: Pick<
    Config,
    'workerOrphanTimeoutMs' | 'replayBufferBytes' | 'workerCpus' | 'egressAllow' | 'pipIndexUrl'
  >,
): Readonly<Record<string, string>> {
  const { egressAllow, pipIndexUrl } = config;
  return {
    CELLHOUSE_ORPHAN_TIMEOUT_MS: String(config.workerOrphanTimeoutMs),
    CELLHOUSE_REPLAY_BUFFER_BYTES: String(config.replayBufferBytes),
    CELLHOUSE_CPUS: String(Math.ceil(config.workerCpus)),
    // Without egress, a worker gets no settings for it.
    ...(egressAllow.length > 0 && {
      CELLHOUSE_EGRESS: 'on',
      ...(pipIndexUrl !== null && { PIP_INDEX_URL: pipIndexUrl }),
    }),
  };
}
