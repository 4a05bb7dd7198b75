import { networkInterfaces } from 'node:os';
import { type Address, addressText, parseAddress } from '../domain/egress/address.ts';

/** Whether it is an address of this machine, whose services may trust what comes from the machine itself. */
export function isOwnAddress(address: Address): boolean {
  const text = addressText(address);
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .some((own) => {
      const parsed = parseAddress(own.address.replace(/%.*$/, ''));
      return parsed !== null && addressText(parsed) === text;
    });
}
