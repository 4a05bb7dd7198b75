/** Compares the heads that are computed from the links with all heads that are known, in one pass. */
import type { AuditHead } from '../../domain/auditHead.ts';
import { firstHead } from './leaf.ts';
import type { ChainEnd } from './readChain.ts';

export interface HeadCheckDeps {
  readonly end: ChainEnd;
  /** The heads of closed days in the database, in order of positions. */
  readonly days: readonly AuditHead[];
  /** The heads that are known outside of the database. */
  readonly outside: readonly AuditHead[];
  readonly add: (finding: string) => void;
}

export interface HeadCheck {
  /** The head over all links so far. */
  head(): Buffer;
  /** Call this for each link, before {@link HeadCheck.after}. */
  before(position: number): void;
  /** Takes the head that includes the link at `position`. */
  after(position: number, head: Buffer): void;
  /** Call this after the last link. */
  end(): void;
}

export function createHeadCheck({ end, days, outside, add }: HeadCheckDeps): HeadCheck {
  const known = createKnown(days, outside);
  /** Up to here, events may have been deleted before there was a chain. */
  const start = end.openDay === null ? end.position : (days[0]?.position ?? 0);
  let head = firstHead(end.chainId);
  let last = 0;

  function compare(): void {
    const { fromDatabase, fromOutside } = known.at(last);
    const computed = head.toString('hex');
    for (const day of fromDatabase) {
      if (day.head === computed) continue;
      add(`The links up to ${nameOf(day)} are not those over which the day was closed.`);
      // Each later day is then judged by itself.
      head = Buffer.from(day.head, 'hex');
    }
    for (const given of fromOutside) {
      const isTold = fromDatabase.some((day) => day.day === given.day && day.head === given.head);
      if (given.head !== computed && !isTold)
        add(`The history up to ${nameOf(given)} is not the one whose head was noted outside.`);
      if (!fromDatabase.some(({ day }) => day === given.day))
        add(`The database does not have the day ${given.day}, whose head was noted outside.`);
    }
  }

  for (const given of outside)
    if (given.chainId !== end.chainId)
      add(`The head of ${given.day} is of another chain (${given.chainId}).`);
  compare();
  return {
    head: () => head,
    before: (position) => {
      if (position <= start || position === last + 1) return;
      const gone =
        last + 1 === position - 1
          ? `Link ${last + 1} is`
          : `Links ${last + 1} to ${position - 1} are`;
      add(`${gone} missing, with what they stood for.`);
    },
    after: (position, next) => {
      head = next;
      last = position;
      compare();
    },
    end: () => {
      for (const day of known.rest())
        add(`${nameOf(day)} is at a position without a link: cut off.`);
      if (last !== end.position || head.toString('hex') !== end.head)
        add(
          `The head of the database, at ${end.position}, is not that of its links, which end at ${last}.`,
        );
    },
  };
}

const nameOf = ({ day, position }: AuditHead) =>
  `${day === '-infinity' ? 'the beginning of the chain' : day} (position ${position})`;

/** The known heads by their position. `rest` returns the heads whose positions were never asked for. */
function createKnown(days: readonly AuditHead[], outside: readonly AuditHead[]) {
  const byPosition = new Map<number, { fromDatabase: AuditHead[]; fromOutside: AuditHead[] }>();
  const entry = (position: number) => {
    const found = byPosition.get(position) ?? { fromDatabase: [], fromOutside: [] };
    byPosition.set(position, found);
    return found;
  };
  for (const day of days) entry(day.position).fromDatabase.push(day);
  for (const day of outside) entry(day.position).fromOutside.push(day);
  return {
    at: (position: number) => {
      const found = byPosition.get(position) ?? { fromDatabase: [], fromOutside: [] };
      byPosition.delete(position);
      return found;
    },
    rest: () =>
      [...byPosition.values()].flatMap((each) => [...each.fromDatabase, ...each.fromOutside]),
  };
}
