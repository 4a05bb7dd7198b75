/** Checks what `cellhouse audit verify` has found, and that it has looked at every event. */
import type { History } from '../history.ts';
import { lost, type Violation } from './facts.ts';

export function checkChain({ events, rest }: History): Violation[] {
  const { serving, down } = rest.audit;
  const linked = events.filter(({ position }) => position <= serving.position).length;
  return [
    ...new Set([...serving.findings, ...down.findings].map((finding) => `the audit: ${finding}`)),
    ...(serving.unsealed > 0 ? [`${serving.unsealed} events were not sealed at rest`] : []),
    ...(serving.events === linked
      ? []
      : [`the audit compared ${serving.events} events of ${linked}`]),
  ].map(lost);
}
