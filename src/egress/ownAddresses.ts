import { networkInterfaces } from 'node:os';
import { type Address, addressText, embeddedIn, parseAddress } from '../domain/egress.ts';

/**
 * Whether packets to the address reach this machine: it is an address of the machine itself, or a translator or tunnel
 * would map it to one. Services of the machine may trust connections from the machine itself.
 */
export function isOwnAddress(address: Address): boolean {
  const text = addressText(embeddedIn(address) ?? address);
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .some((own) => {
      const parsed = parseAddress(own.address.replace(/%.*$/, ''));
      return parsed !== null && addressText(parsed) === text;
    });
}
