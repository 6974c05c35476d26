// Elements of the page. Whatever comes from the artifact is set as text, never as HTML.

/**
 * @param {string} id
 * @returns {any} the element of index.html
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]> & Record<string, any>} [properties] of the element; what has a dash is an
 *   attribute
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/**
 * A name from the artifact: its letters set no direction for what is around them, and it may break after a dot.
 * @param {string} text
 * @param {string} className
 */
export function named(text, className) {
  const element = make("bdi", { className, dir: "ltr" });
  for (const part of text.split(/(?<=[._])/)) element.append(part, make("wbr"));
  return element;
}

/**
 * @param {HTMLSelectElement} select
 * @param {[value: string, text: string][]} options
 */
export function setOptions(select, options) {
  const before = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === before)) select.value = before;
}

/**
 * Let the visitor keep a file.
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const link = make("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * @param {string} text
 * @returns {string} what any file system takes
 */
export function fileName(text) {
  return text.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 120);
}
