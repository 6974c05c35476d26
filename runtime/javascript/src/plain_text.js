// Text from files that anyone may have written, as it may be shown: on one line, and nothing in it is obeyed by a
// terminal or sets the direction of writing.

/** Characters of a name, a label or a reason; a longer one is cut. */
const LONGEST_LINE = 300;
/**
 * C0 and C1, DEL, line and paragraph separators, what sets the direction of writing, and halves of a pair of UTF-16.
 * By number: a literal would do to this file what it is to prevent.
 */
const NOT_ON_A_LINE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/**
 * @param {string} text
 * @param {number} [longest] characters
 * @returns {string} with a `?` for each character that isn't shown, cut to `longest` characters
 */
export function oneLine(text, longest = LONGEST_LINE) {
  const plain = text.replace(NOT_ON_A_LINE, "?");
  if (plain.length <= longest) return plain;
  // Characters, of which a pair of UTF-16 is one: Python counts them so, and both must cut a name to the same one.
  const characters = [...plain];
  return characters.length <= longest ? plain : `${characters.slice(0, longest - 1).join("")}…`;
}
