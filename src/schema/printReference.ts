/**
 * Writes `./docs/use/reference.md` from the schema. With `--check` it compares the file instead, and exits with 1 if it
 * differs: `node dist/schema/printReference.js [--check]`.
 */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  isUnionType,
} from 'graphql';
import { writeOrCheck } from '../process/generatedFile.ts';
import { schema } from './index.ts';

const FILE = 'docs/use/reference.md';
const INTRODUCTION = `# Reference

All operations and types of GraphQL, with their descriptions in \`schema.graphql\`. \`npm run reference\` makes this page
from the code.
`;

const named = Object.values(schema.getTypeMap()).filter(
  (type) => !(type.name.startsWith('__') || isSpecifiedScalarType(type)),
);
const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
/** Types have a heading of their own, to which others link. */
const linked = new Set<GraphQLNamedType>(
  named.filter((type) => !roots.some((root) => root === type)),
);

const printed = [
  INTRODUCTION,
  ...operations('Queries', 'query', schema.getQueryType()?.getFields()),
  ...operations('Mutations', 'mutation', schema.getMutationType()?.getFields()),
  ...operations('Subscriptions', 'subscription', schema.getSubscriptionType()?.getFields()),
  ...types('Inputs', isInputObjectType),
  ...types('Types', (type) => isObjectType(type) || isInterfaceType(type) || isUnionType(type)),
  ...types('Enums', isEnumType),
  ...types('Scalars', isScalarType),
].join('\n');

await writeOrCheck(FILE, printed, 'npm run reference');

/** @param kind begins the headings of the operations, so that they differ from headings of types */
function operations(
  title: string,
  kind: string,
  fields: Readonly<Record<string, GraphQLField<unknown, unknown>>> = {},
): string[] {
  return [`## ${title}\n`, ...Object.values(fields).map((field) => operation(kind, field))];
}

function operation(kind: string, field: GraphQLField<unknown, unknown>): string {
  const { name, args, type } = field;
  const parts = [`${described(field)}\n`, ...argumentTable(args), `Returns ${link(type)}.\n`];
  return [`### ${kind} ${name}\n`, ...parts].join('\n');
}

function argumentTable(args: readonly GraphQLArgument[]): string[] {
  if (args.length === 0) return [];
  return ['| argument | type | |', '| --- | --- | --- |', ...args.map(inputRow), ''];
}

function types(title: string, isWanted: (type: GraphQLNamedType) => boolean): string[] {
  const wanted = [...linked].filter(isWanted).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return wanted.length === 0 ? [] : [`## ${title}\n`, ...wanted.map(section)];
}

function section(type: GraphQLNamedType): string {
  const { name, description } = type;
  const text = description ? [`${paragraphs(description)}\n`] : [];
  return [`### ${name}\n`, ...text, ...rows(type)].join('\n');
}

function rows(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) {
    const values = type.getValues().map((value) => `| \`${value.name}\` | ${described(value)} |`);
    return ['| value | |', '| --- | --- |', ...values, ''];
  }
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).map(inputRow);
    return ['| field | type | |', '| --- | --- | --- |', ...fields, ''];
  }
  if (isUnionType(type)) return [`One of ${type.getTypes().map(link).join(', ')}.\n`];
  if (!(isObjectType(type) || isInterfaceType(type))) return [];
  const fields = Object.values(type.getFields()).map(fieldRow);
  return ['| field | type | |', '| --- | --- | --- |', ...fields, ''];
}

function fieldRow(field: GraphQLField<unknown, unknown>): string {
  const args = field.args.map(({ name, type }) => `${name}: ${type}`).join(', ');
  const signature = args === '' ? field.name : `${field.name}(${args})`;
  return `| \`${signature}\` | ${link(field.type)} | ${described(field)} |`;
}

function inputRow({
  name,
  type,
  defaultValue,
  ...rest
}: GraphQLArgument | GraphQLInputField): string {
  const fallback = defaultValue === undefined ? '' : ` = \`${JSON.stringify(defaultValue)}\``;
  return `| \`${name}\` | ${link(type)}${fallback} | ${described(rest)} |`;
}

/** The description in one line, so that it fits into a table. The reason of a deprecation comes first. */
function described(item: {
  readonly description?: string | null | undefined;
  readonly deprecationReason?: string | null | undefined;
}): string {
  const { description, deprecationReason } = item;
  const text = (description ?? '').replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');
  return deprecationReason ? `**Deprecated**: ${deprecationReason} ${text}` : text;
}

function paragraphs(text: string): string {
  return text.replaceAll(/[^\S\n]*\n[^\S\n]*/g, '\n');
}

/** The type as it is written in the schema, as a link to its section. */
function link(type: GraphQLType): string {
  const of = getNamedType(type);
  return linked.has(of) ? `[\`${type}\`](#${of.name.toLowerCase()})` : `\`${type}\``;
}
