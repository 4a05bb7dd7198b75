import type { ExecuteRequest } from '../../../service/execute/validateRequest.ts';
import { type Fields, isFields } from '../../shared/fields.ts';

/** How a client wants its cell to be run. Missing options have the defaults of Jupyter's protocol. */
export function cellOptions(
  content: Fields,
): Pick<
  ExecuteRequest,
  'stopOnError' | 'allowInput' | 'silent' | 'storeHistory' | 'userExpressions'
> {
  const silent = content.silent === true;
  const expressions = isFields(content.user_expressions) ? content.user_expressions : {};
  const userExpressions = Object.entries(expressions).map(([name, code]) => ({
    name,
    code: String(code),
  }));
  return {
    // Nobody sees that a silent cell has failed.
    stopOnError: content.stop_on_error !== false && !silent,
    allowInput: content.allow_stdin !== false,
    silent,
    storeHistory: content.store_history !== false,
    userExpressions,
  };
}
