/** @file When attention runs in one kernel, apart from the kernels so that prices can be counted without tensors. */

/** Keys for which attention's kernel is used, at most: its loops are made for prompts of a sentence, whose numbers stay in a core's cache. */
export const ATTENTION_MOST_KEYS = 32;
