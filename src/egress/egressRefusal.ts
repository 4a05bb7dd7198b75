import { authorityOf, type EgressOutcome, type Target } from '../domain/egress.ts';

/** The reason why code gets no connection. It is sent to the code as an HTTP answer with one sentence. */
export class EgressRefusal extends Error {
  readonly status: number;
  readonly outcome: EgressOutcome;

  constructor(status: number, outcome: EgressOutcome, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EgressRefusal';
    this.status = status;
    this.outcome = outcome;
  }
}

/** The owner of the list that does not allow the target. */
export type Lister = 'installation' | 'tenant' | 'session';

const LIST: Readonly<Record<Lister, string>> = {
  installation: 'EGRESS_ALLOW',
  tenant: 'what TENANT_EGRESS_ALLOW gives this tenant',
  session: 'the egressAllow of this session',
};

export function notListed(target: Target, by: Lister): EgressRefusal {
  const where = by === 'installation' ? 'not in' : 'in EGRESS_ALLOW, but not in';
  return new EgressRefusal(
    403,
    'not-listed',
    `${authorityOf(target, null)} is ${where} ${LIST[by]}.`,
  );
}

export function privateAddress(target: Target, by: Lister): EgressRefusal {
  return new EgressRefusal(
    403,
    'private-address',
    `${authorityOf(target, null)} has a private address that ${LIST[by]} does not list as an address with this port.`,
  );
}

export function malformed(status = 400): EgressRefusal {
  return new EgressRefusal(
    status,
    'malformed',
    'This proxy accepts only CONNECT host:port and http://host/, with a plain host name or address from EGRESS_ALLOW.',
  );
}

export function tooMany(what: string): EgressRefusal {
  return new EgressRefusal(503, 'too-many', what);
}

/** @param cause the error of the resolver or the socket */
export function failedToReach(
  target: Target,
  outcome: 'unresolved' | 'unreachable' | 'timed-out',
  cause?: unknown,
): EgressRefusal {
  const authority = authorityOf(target, null);
  const code = codeOf(cause);
  const why = {
    unresolved: `The name of ${authority} cannot be resolved${code}.`,
    unreachable: `${authority} cannot be reached${code}.`,
    'timed-out': `${authority} did not answer within EGRESS_CONNECT_TIMEOUT_MS.`,
  };
  return new EgressRefusal(outcome === 'timed-out' ? 504 : 502, outcome, why[outcome], { cause });
}

function codeOf(cause: unknown): string {
  const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? '') : '';
  return /^[A-Z_]{1,32}$/.test(code) ? ` (${code})` : '';
}
