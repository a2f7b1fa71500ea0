/** @file The tokenizer of a checkpoint folder, and its chat template. */
import { Template } from "@huggingface/jinja";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { unreachable } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { readJsonFile, readTextFile } from "../base/read-file.js";
import type { BosRule } from "../families/family.js";

/** What we use of the library; its own type declarations do not resolve under NodeNext. */
interface HubTokenizer {
  token_to_id(token: string): number | undefined;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
}
const HubTokenizer = LibraryTokenizer as unknown as new (definition: object, settings: object) => HubTokenizer;

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "user" | "assistant" | "system";
  readonly content: string;
}

/** Text to token ids. */
export interface Tokenizer {
  /** Ids that every prompt starts with: one BOS, or none. */
  readonly start: readonly number[];
  /** Ids of a text after those of `start`, with no other special token that the text does not spell out. */
  encode(text: string): number[];
  /** The text of one token, special ones by their names; U+FFFD for bytes that are no character by themselves. */
  textOf(id: number): string;
  /** The text of several tokens that follow one another, likewise. */
  decode(ids: readonly number[]): string;
  /**
   * A conversation in the model's own format.
   * @throws PatchbayError `bad_input` when the folder has no chat template, or the template refuses the messages.
   */
  chat(messages: readonly ChatMessage[], addGenerationPrompt: boolean): { text: string; ids: number[] };
}

const token = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
/** Every family's tokenizer is byte-pair encoding; the library would guess at anything else. */
const tokenizerSchema = z.looseObject({
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.record(z.string(), z.int().min(0)),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
    // The library leaves these out of account.
    continuing_subword_prefix: z.literal("").nullish(),
    dropout: z.literal(0).nullish(),
  }),
  added_tokens: z.array(z.looseObject({ id: z.int().min(0), content: z.string() })).optional(),
});
const settingsSchema = z.looseObject({
  bos_token: token.nullish(),
  eos_token: token.nullish(),
  pad_token: token.nullish(),
  unk_token: token.nullish(),
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});
type Settings = z.infer<typeof settingsSchema>;

/**
 * Opens the tokenizer of a checkpoint folder: tokenizer.json, with tokenizer_config.json and chat_template.jinja where present.
 * @param bos what prompts of the checkpoint's family begin with.
 * @throws PatchbayError `bad_input` when a file is missing or not what it should be.
 */
export function openTokenizer(folder: string, bos: BosRule): Tokenizer {
  const file = join(folder, "tokenizer.json");
  const settings = readSettings(folder, bos);
  const tokenizer = load(file, settings);
  const start = startOf(tokenizer, settings, bos, file);
  const idsOf = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const decode = (ids: readonly number[]): string =>
    tokenizer.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  const source = templateOf(folder, settings);
  let template: Template | undefined;
  return {
    start,
    encode: (text) => [...start, ...idsOf(text)],
    textOf: (id) => decode([id]),
    decode,
    chat: (messages, addGenerationPrompt) => {
      if (source === undefined) throw badInput("expected a chat template in the folder, got none", { file: folder });
      const text = located(folder, () => {
        template ??= new Template(source);
        return template.render({ ...settings, messages, add_generation_prompt: addGenerationPrompt });
      });
      return { text, ids: idsOf(text) };
    },
  };
}

function readSettings(folder: string, bos: BosRule): Settings {
  const file = join(folder, "tokenizer_config.json");
  if (existsSync(file)) return readJsonFile(file, settingsSchema);
  return bos.kind === "in_front" ? { bos_token: bos.token } : {};
}

function startOf(tokenizer: HubTokenizer, { bos_token: named }: Settings, bos: BosRule, file: string): number[] {
  switch (bos.kind) {
    case "in_front": {
      const token = named ?? bos.token;
      const id = tokenizer.token_to_id(token);
      if (id === undefined) throw badInput(`expected a token ${token}, with which prompts start, got none`, { file });
      return [id];
    }
    case "none":
      return [];
    default:
      return unreachable(bos);
  }
}

function load(file: string, settings: Settings): HubTokenizer {
  const definition = readJsonFile(file, tokenizerSchema);
  try {
    return new HubTokenizer(definition, settings);
  } catch (error) {
    throw badInput(`expected a tokenizer that can be built, got: ${(error as Error).message}`, { file }, error);
  }
}

/** A file of its own wins over the field, as in Hugging Face's loader. */
function templateOf(folder: string, { chat_template: field }: Settings): string | undefined {
  const file = join(folder, "chat_template.jinja");
  if (existsSync(file)) return readTextFile(file);
  if (typeof field === "string") return field;
  return field?.find(({ name }) => name === "default")?.template;
}

function located(folder: string, render: () => string): string {
  try {
    return render();
  } catch (error) {
    throw badInput(`the chat template failed: ${(error as Error).message}`, { file: folder }, error);
  }
}
