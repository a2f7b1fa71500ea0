/** @file What the reader looks at: a node under the pointer, a node that is kept, and the nodes that were asked for. */

/**
 * @typedef {object} Attention
 * @property {number} hovered - the node under the pointer; -1: none.
 * @property {number} kept - the node that stays lit; -1: none.
 * @property {Set<number> | null} asked - null: no question was asked.
 */

/** @type {Attention} */
export const attention = { hovered: -1, kept: -1, asked: null };

/** @type {((before: Attention) => void)[]} */
const followers = [];

/** Calls back after each change. @param {(before: Attention) => void} follow */
export function onAttention(follow) {
  followers.push(follow);
}

/** @param {Partial<Attention>} change */
export function attend(change) {
  const before = { ...attention };
  Object.assign(attention, change);
  for (const follow of followers) follow(before);
}
