/**
 * @file Checks objects against the Kubernetes API without a cluster. The package kubernetes-types holds the API's OpenAPI
 * definitions as TypeScript interfaces, so the compiler can be the validator: each object becomes a literal of its kind's type, and
 * a literal may have no unknown, missing or mistyped field.
 */
import { join } from "node:path";
import ts from "typescript";

/** What every object has. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** Module of each API version in use. */
const MODULES: Readonly<Record<string, string>> = { v1: "core/v1", "apps/v1": "apps/v1" };

/** What is wrong with the objects, in the compiler's words; empty when nothing is. */
export function schemaFaults(objects: readonly KubernetesObject[]): string[] {
  const file = join(import.meta.dirname, "rendered-objects.ts"); // Never written; its folder is where packages are found from.
  const source = objects.map(literalOf).join("\n");
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    types: [],
    lib: ["lib.es2023.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const disk = ts.createCompilerHost(options);
  const isOurs = (name: string): boolean => name.endsWith("/rendered-objects.ts");
  const host: ts.CompilerHost = {
    ...disk,
    getSourceFile: (name, version, ...rest) =>
      isOurs(name) ? ts.createSourceFile(name, source, version) : disk.getSourceFile(name, version, ...rest),
    fileExists: (name) => isOurs(name) || disk.fileExists(name),
    readFile: (name) => (isOurs(name) ? source : disk.readFile(name)),
  };
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

function literalOf(object: KubernetesObject, index: number): string {
  const module = MODULES[object.apiVersion] ?? object.apiVersion;
  const type = `import("kubernetes-types/${module}.d.ts").${object.kind}`;
  return `export const object${String(index)}: ${type} = ${JSON.stringify(object)};`;
}
