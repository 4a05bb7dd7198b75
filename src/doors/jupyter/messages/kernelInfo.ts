import { API_VERSION } from '../rest/models.ts';
import type { Fields } from '../wire/message.ts';
import { PROTOCOL_VERSION } from './parentHeader.ts';

/** What the kernels behind this door speak and understand. */
export const KERNEL_INFO: Fields = {
  status: 'ok',
  protocol_version: PROTOCOL_VERSION,
  implementation: 'cellhouse',
  implementation_version: API_VERSION,
  language_info: {
    name: 'python',
    version: '3',
    mimetype: 'text/x-python',
    file_extension: '.py',
    pygments_lexer: 'ipython3',
    codemirror_mode: { name: 'ipython', version: 3 },
    nbconvert_exporter: 'python',
  },
  banner: '',
  help_links: [],
};
