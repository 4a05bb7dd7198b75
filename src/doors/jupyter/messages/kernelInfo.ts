import type { KernelFacts } from '../../../domain/kernelQuestion.ts';
import type { Fields } from '../../shared/fields.ts';
import { PROTOCOL_VERSION } from './parentHeader.ts';

/** The facts that hold for a kernel that cannot be asked, because its worker is away. */
const UNTOLD: KernelFacts = {
  protocolVersion: '',
  implementation: 'ipython',
  implementationVersion: '',
  banner: '',
  language: {
    name: 'python',
    version: '',
    mimetype: 'text/x-python',
    fileExtension: '.py',
    pygmentsLexer: 'ipython3',
    nbconvertExporter: 'python',
  },
};

/**
 * The reply to `kernel_info_request`. It has the protocol version of this door's messages.
 * @param facts as the kernel reports them. Null: it could not be asked
 */
export function kernelInfo(facts: KernelFacts | null): Fields {
  const { implementation, implementationVersion, banner, language } = facts ?? UNTOLD;
  return {
    status: 'ok',
    protocol_version: PROTOCOL_VERSION,
    implementation,
    implementation_version: implementationVersion,
    language_info: {
      name: language.name,
      version: language.version,
      mimetype: language.mimetype,
      file_extension: language.fileExtension,
      pygments_lexer: language.pygmentsLexer,
      codemirror_mode: { name: 'ipython', version: 3 },
      nbconvert_exporter: language.nbconvertExporter,
    },
    banner,
    help_links: [],
  };
}
