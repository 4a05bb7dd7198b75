/** Stands in for a package that `bundle.mjs` leaves out. */
module.exports = {};
