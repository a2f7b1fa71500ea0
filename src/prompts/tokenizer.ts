/** @file The tokenizer of a checkpoint folder, and its chat template. */
import { Template } from "@huggingface/jinja";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile, readTextFile } from "../base/read-file.js";

/** What we use of the library; its own type declarations do not resolve under NodeNext. */
interface HubTokenizer {
  token_to_id(token: string): number | undefined;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}
const HubTokenizer = LibraryTokenizer as unknown as new (definition: object, settings: object) => HubTokenizer;

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "user" | "assistant" | "system";
  readonly content: string;
}

/** Text to token ids. */
export interface Tokenizer {
  /** Id that every prompt starts with. */
  readonly bosId: number;
  /** Ids of a text, with one BOS in front and no other special token that the text does not spell out. */
  encode(text: string): number[];
  /**
   * A conversation in the model's own format.
   * @throws PatchbayError `bad_input` when the folder has no chat template, or the template refuses the messages.
   */
  chat(messages: readonly ChatMessage[], addGenerationPrompt: boolean): { text: string; ids: number[] };
}

const token = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
/** Every Gemma tokenizer is byte-pair encoding; the library would guess at anything else. */
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

/** BOS of the Gemma family, for folders without tokenizer_config.json. */
const DEFAULT_SETTINGS: Settings = { bos_token: "<bos>" };

/**
 * Opens the tokenizer of a checkpoint folder: tokenizer.json, with tokenizer_config.json and chat_template.jinja where present.
 * @throws PatchbayError `bad_input` when a file is missing or not what it should be.
 */
export function openTokenizer(folder: string): Tokenizer {
  const file = join(folder, "tokenizer.json");
  const settings = readSettings(folder);
  const tokenizer = load(file, settings);
  const bos = settings.bos_token ?? "<bos>";
  const bosId = tokenizer.token_to_id(bos);
  if (bosId === undefined) throw badInput(`expected a token ${bos}, with which prompts start, got none`, { file });
  const idsOf = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
  const source = templateOf(folder, settings);
  return {
    bosId,
    encode: (text) => [bosId, ...idsOf(text)],
    chat: (messages, addGenerationPrompt) => {
      if (source === undefined) throw badInput("expected a chat template in the folder, got none", { file: folder });
      const text = render(source, { ...settings, messages, add_generation_prompt: addGenerationPrompt }, folder);
      return { text, ids: idsOf(text) };
    },
  };
}

function readSettings(folder: string): Settings {
  const file = join(folder, "tokenizer_config.json");
  return existsSync(file) ? readJsonFile(file, settingsSchema) : DEFAULT_SETTINGS;
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

function render(source: string, values: Record<string, unknown>, folder: string): string {
  try {
    return new Template(source).render(values);
  } catch (error) {
    throw badInput(`the chat template failed: ${(error as Error).message}`, { file: folder }, error);
  }
}
