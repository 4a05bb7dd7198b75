import type { Readable } from 'node:stream';
import type { Session } from '../../domain/session.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/**
 * How often a download that lasts counts as a use of its session: four times in the shortest idle time. Uses are
 * recorded less often (`sessionUses.ts`).
 */
const USE_INTERVAL_MS = 250;

/**
 * Counts a download from its beginning until its body is closed. All the while, its session does not end as idle.
 * @throws FILES_BUSY, and what `open` throws
 */
export async function whileMoving<T extends { readonly body: Readable }>(
  { fileTransfers, sessionUses }: Pick<ServiceDeps, 'fileTransfers' | 'sessionUses'>,
  session: Session,
  open: () => Promise<T>,
): Promise<T> {
  const end = fileTransfers.begin();
  try {
    const opened = await open();
    // A use that cannot be recorded now is tried again.
    const use = () => void sessionUses.use(session).catch(() => false);
    const timer = setInterval(use, USE_INTERVAL_MS);
    opened.body.once('close', () => {
      clearInterval(timer);
      use();
      end();
    });
    return opened;
  } catch (error: unknown) {
    end();
    throw error;
  }
}
