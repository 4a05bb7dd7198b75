/** What a worker's kernel has imported before any code runs. For comparison, the stock kernel imports it too. */
export const USUAL_IMPORTS = 'import numpy, pandas, matplotlib.pyplot';
