export const ROOMS: Readonly<
  Record<
    string,
    {
      readonly may: readonly string[];
      readonly types?: readonly string[];
      readonly open?: readonly string[];
    }
  >
>;
export const PACKAGES: Readonly<Record<string, readonly string[]>>;
