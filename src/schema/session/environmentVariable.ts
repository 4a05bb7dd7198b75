import { builder } from '../builder.ts';

export const EnvironmentVariableInput = builder.inputType('EnvironmentVariableInput', {
  description:
    'An environment variable of a session or of an execution. No answer ever contains its value.',
  fields: (t) => ({
    name: t.string({
      required: true,
      description:
        'Letters, digits and _, not beginning with a digit: at most MAX_ENVIRONMENT_NAME_BYTES.',
    }),
    value: t.string({ required: true, description: 'Any text without U+0000.' }),
  }),
});
