const PLAIN = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether it can be the name of a token or a tenant: a word that needs no quoting in lists, logs and settings. */
export function isPlainName(text: string): boolean {
  return PLAIN.test(text);
}
