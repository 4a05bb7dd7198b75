import type { Readable } from 'node:stream';
import type { Session } from '../../domain/session.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

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
    const letGo = sessionUses.hold(session);
    opened.body.once('close', () => {
      letGo();
      end();
    });
    return opened;
  } catch (error: unknown) {
    end();
    throw error;
  }
}
