/**
 * What the tidy test knows of a source file: its imports, its functions with their sizes, and the
 * names it uses. Parsed, not matched: rolldown's parser comes with vitest, reads TypeScript, and
 * takes about a millisecond per file.
 */
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { parseSync } from "rolldown/utils";

export interface Import {
  /** As written: `../grid/units.ts`, `node:fs`, `hono`. */
  specifier: string;
  /** Path from the repository root for a relative one; undefined for a package. */
  file: string | undefined;
  /** Only types: gone at run time. */
  typeOnly: boolean;
}

export interface FunctionSize {
  name: string;
  line: number;
  lines: number;
}

export interface Source {
  path: string;
  text: string;
  /** Lines without the last empty one. */
  lines: string[];
  imports: Import[];
  /** Functions with a body in braces, nested ones too. */
  functions: FunctionSize[];
  /** Names used as values: `process`, and `Date.now` for a member of a bare name. */
  names: Set<string>;
}

export function readSource(root: string, path: string): Source {
  return parseSource(path, readFileSync(posix.join(root, path), "utf8"));
}

type Node = { type: string; start: number; end: number } & Record<string, unknown>;

/** AssemblyScript's decorators stand before functions, where TypeScript has none. */
const DECORATOR = /@[a-z]+(\([^)\n]*\))?(?=\s)/g;

export function parseSource(path: string, text: string): Source {
  const plain = path.startsWith("assembly/")
    ? text.replace(DECORATOR, (found) => " ".repeat(found.length))
    : text;
  const { program, errors } = parseSync(path, plain);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  const lines = text.replace(/\n$/, "").split("\n");
  const source: Source = { path, text, lines, imports: [], functions: [], names: new Set() };
  const starts = lineStarts(text);
  visit(program as unknown as Node, undefined, "", (node, parent, key) => {
    collectImport(node, source);
    collectFunction(node, parent, starts, source);
    collectName(node, parent, key, source);
  });
  return source;
}

type Visitor = (node: Node, parent: Node | undefined, key: string) => void;

function visit(node: Node, parent: Node | undefined, key: string, visitor: Visitor): void {
  visitor(node, parent, key);
  // A million nodes: no arrays of entries for them.
  for (const name in node) {
    const child = node[name];
    if (typeof child !== "object" || child === null) continue;
    if (!Array.isArray(child)) visitChild(child as Partial<Node>, node, name, visitor);
    else for (const one of child) visitChild(one as Partial<Node> | null, node, name, visitor);
  }
}

function visitChild(child: Partial<Node> | null, parent: Node, key: string, visitor: Visitor) {
  if (typeof child?.type === "string") visit(child as Node, parent, key, visitor);
}

const IMPORTING = [
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
];

function collectImport(node: Node, { path, imports }: Source): void {
  if (!IMPORTING.includes(node.type)) return;
  const specifier = (node.source as { value?: unknown } | null)?.value;
  if (typeof specifier !== "string") return;
  const named = (node.specifiers as Node[] | undefined) ?? [];
  const allTypes =
    named.length > 0 && named.every((one) => (one.importKind ?? one.exportKind) === "type");
  const typeOnly =
    node.type === "TSImportType" || (node.importKind ?? node.exportKind) === "type" || allTypes;
  const file = specifier.startsWith(".")
    ? posix.normalize(posix.join(posix.dirname(path), specifier))
    : undefined;
  imports.push({ specifier, file, typeOnly });
}

const FUNCTIONS = ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"];

function collectFunction(
  node: Node,
  parent: Node | undefined,
  starts: number[],
  { functions }: Source,
): void {
  const body = node.body as Node | null | undefined;
  if (!FUNCTIONS.includes(node.type) || body?.type !== "BlockStatement") return;
  // A method's name and signature stand in its parent.
  const whole = parent?.type === "MethodDefinition" ? parent : node;
  const line = lineOf(starts, whole.start);
  const named = (node.id ?? parent?.key ?? parent?.id) as { name?: string } | null | undefined;
  functions.push({
    name: named?.name ?? "(anonymous)",
    line,
    lines: lineOf(starts, whole.end - 1) - line + 1,
  });
}

/** Identifiers in value position. Keys of literals, classes and types are no uses. */
function collectName(node: Node, parent: Node | undefined, key: string, { names }: Source): void {
  if (node.type === "MemberExpression" && node.computed !== true) {
    const object = node.object as Node;
    if (object.type === "Identifier") {
      names.add(`${String(object.name)}.${String((node.property as Node).name)}`);
    }
  }
  if (node.type === "NewExpression" && (node.callee as Node).type === "Identifier") {
    names.add(`new ${String((node.callee as Node).name)}`);
  }
  if (node.type !== "Identifier" || parent?.type.startsWith("TS")) return;
  const isKey = key === "key" || (key === "property" && parent?.type === "MemberExpression");
  if (!isKey || parent?.computed === true) names.add(String(node.name));
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** 1-based line of an offset, by bisection. */
function lineOf(starts: number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}
