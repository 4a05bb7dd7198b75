/**
 * Imported before all else, for packages look when they are loaded. Otherwise `graphql` searches each value that it checks for
 * signs of a second copy of itself.
 */
process.env.NODE_ENV ??= 'production';
