/** What a worker's kernel has imported before any code runs, so that comparisons give it to the stock kernel too. */
export const USUAL_IMPORTS = 'import numpy, pandas, matplotlib.pyplot';
