/**
 * Must be imported before everything else, because packages read NODE_ENV when they are loaded. Outside of production,
 * `graphql` checks each value for signs of a second copy of itself.
 */
process.env.NODE_ENV ??= 'production';
