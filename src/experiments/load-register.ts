/**
 * @file What this process can do: the product's own register, or that of a module which PATCHBAY_REGISTER names. The variable reaches the
 * processes of a run; its module exports `register`, made with {@link registerOf}.
 */
import { pathToFileURL } from "node:url";
import { badInput } from "../base/errors.js";
import { registerModule } from "../base/register-module.js";
import { REGISTER, type Register } from "./registry.js";

/** Loads the register. @throws PatchbayError `bad_input` for a module that cannot be loaded, or that exports none. */
export async function loadRegister(): Promise<Register> {
  const file = registerModule();
  if (file === null) return REGISTER;
  const place = { field: "PATCHBAY_REGISTER" };
  const loaded: unknown = await import(pathToFileURL(file).href).catch((cause: unknown) => {
    throw badInput(`cannot load ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, place, cause);
  });
  const { register } = loaded as { readonly register?: Partial<Register> };
  if (register?.experiments === undefined || register.methods === undefined)
    throw badInput(`${file} exports no register; export one that registerOf made`, place);
  return { methods: register.methods, experiments: register.experiments };
}
