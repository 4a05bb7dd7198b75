/** Addresses and networks as text. */
import { BlockList, isIP, isIPv6 } from 'node:net';

/** @throws if one is neither an address nor a network such as `10.0.0.0/8` */
export function networksOf(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) addTo(list, text);
  return list;
}

/** Whether the text is an address or a network. */
export function isNetwork(text: string): boolean {
  try {
    networksOf([text]);
    return true;
  } catch {
    return false;
  }
}

/** @throws if it is neither an address nor a network */
function addTo(list: BlockList, text: string): void {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  if (isIP(address) === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits ?? '0'))
    throw new Error(`${text} is no network.`);
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(bits), family);
}
