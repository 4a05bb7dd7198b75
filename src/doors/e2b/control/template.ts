/** A template is an environment. Those that the SDKs name by themselves are sessions without an environment. */

/** What E2B calls its own templates. Here they are one. */
const PLAIN_TEMPLATES: readonly string[] = ['code-interpreter-v1', 'base'];
/** The id of a template that has several names. */
const PLAIN_TEMPLATE_ID = 'code-interpreter-v1';

/** The name of the template's environment. Null: it has none. @param template its name, or `<name>:<tag>` */
export function environmentOf(template: string): string | null {
  const name = template.split(':', 1)[0] ?? '';
  return PLAIN_TEMPLATES.includes(name) ? null : template;
}

/** The id of the template of sessions with this environment. */
export function templateIdOf(environment: string | null): string {
  return environment ?? PLAIN_TEMPLATE_ID;
}
