// Text that fits a place in a picture: names broken in two lines, sentences wrapped; the rules of
// `runtime/maps/picture_text.py`. What measures text is handed in: a canvas does.

/** The width of a text in pixels. @typedef {(text: string) => number} Width */
/** The same by font. @typedef {(text: string, size: number, bold: boolean) => number} Measure */

/**
 * A name in one line or two, broken after a dot, or else an underscore; one too long for two is cut in the middle.
 * @param {string} name
 * @param {Width} measure
 * @param {number} width
 * @returns {string[]}
 */
export function breakName(name, measure, width) {
  const letters = lettersOf(name);
  const text = (/** @type {number} */ from, to = letters.length) => letters.slice(from, to).join("");
  if (measure(text(0)) <= width) return [text(0)];
  let fitting = 1;
  while (fitting < letters.length && measure(text(0, fitting + 1)) <= width) fitting++;
  // A break too early would leave the second line too little room.
  const ends = [".", "_"].map((mark) => letters.lastIndexOf(mark, fitting - 1) + 1);
  const end = ends.find((each) => each * 2 >= fitting && measure(text(each)) <= width) ?? fitting;
  return [text(0, end), shortenFront(text(end), measure, width)];
}

/**
 * A text on one line, or `…` and as much of its end, the most specific part of a name, as `width` pixels hold.
 * @param {string} text
 * @param {Width} measure
 * @param {number} width
 */
export function shortenFront(text, measure, width) {
  const letters = lettersOf(text);
  if (measure(letters.join("")) <= width) return letters.join("");
  let start = 1;
  while (start < letters.length && measure(`…${letters.slice(start).join("")}`) > width) start++;
  return `…${letters.slice(start).join("")}`;
}

/**
 * The sentences, each starting a new line, in lines of at most `width` pixels.
 * @param {string[]} sentences
 * @param {Width} measure
 * @param {number} width
 * @returns {string[]}
 */
export function wrap(sentences, measure, width) {
  const lines = [];
  const space = measure(" ");
  for (const sentence of sentences) {
    /** @type {string[]} */
    let line = [];
    let filled = 0;
    for (const word of sentence.split(/[ \n]+/).filter(Boolean)) {
      const length = measure(word);
      if (line.length && filled + space + length > width) {
        lines.push(line.join(" "));
        [line, filled] = [[], 0];
      }
      filled += length + (line.length ? space : 0);
      line.push(shortenFront(word, measure, width));
    }
    lines.push(line.join(" "));
  }
  return lines;
}

/** @param {string} text */
const lettersOf = (text) => Array.from(text.split(/\s+/).filter(Boolean).join(" "));
