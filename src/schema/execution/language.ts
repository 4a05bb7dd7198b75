import { builder } from '../builder.ts';

export const Language = builder.enumType('Language', {
  description: 'What runs the code.',
  values: {
    PYTHON: { description: 'Python: a cell, run by the kernel of a context.' },
    BASH: {
      description:
        'Bash: a command, with processes of its own, beside all cells and other commands.',
    },
  } as const,
});
