import { networkInterfaces } from 'node:os';
import { type Address, addressText, embeddedIn, parseAddress } from '../domain/egress/address.ts';

/**
 * Whether it is an address of this machine, whose services may trust what comes from the machine itself, or one that a
 * translator or a tunnel would send there.
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
