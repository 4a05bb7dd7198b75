import type { StreamKind } from './eventTypes.ts';

/** `worker-<id>`, `session-<id>`, `execution-<id>`. */
export function streamIdOf(kind: StreamKind, id: string): string {
  return `${kind}-${id}`;
}

/** The parts of a stream's name. @throws Error for a name that {@link streamIdOf} did not make */
export function parseStreamId(streamId: string): { kind: StreamKind; id: string } {
  const match = /^(worker|session|execution)-(.+)$/.exec(streamId);
  if (!match?.[1] || !match[2]) throw new Error(`There is no stream called ${streamId}.`);
  return { kind: match[1] as StreamKind, id: match[2] };
}
