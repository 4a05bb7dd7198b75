/** What a door serves under one path, by method. */
export interface Route<Serve> {
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Serve>>;
}

export type FoundRoute<Serve> =
  | {
      readonly type: 'served';
      readonly serve: Serve;
      /**
       * What the first group of the path's regular expression matches, decoded. `''`: there is no group, or it matched
       * nothing.
       */
      readonly id: string;
    }
  | { readonly type: 'other-methods'; readonly allowed: readonly string[] };

/** Finds the first route whose expression matches the path. Null: there is none. */
export function findRoute<Serve>(
  routes: readonly Route<Serve>[],
  { method, path }: { readonly method: string; readonly path: string },
): FoundRoute<Serve> | null {
  for (const route of routes) {
    const match = route.path.exec(path);
    if (match === null) continue;
    const serve = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined;
    return serve === undefined
      ? { type: 'other-methods', allowed: Object.keys(route.methods) }
      : { type: 'served', serve, id: decoded(match[1] ?? '') };
  }
  return null;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // A percent sign here begins no escape, so the part is not encoded.
    return part;
  }
}
