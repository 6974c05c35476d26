// The product of two packed float64 matrices, in WebAssembly's SIMD: two thirds of a verdict's time are such products,
// and JavaScript's own numbers take three times as long.
//
// The module is assembled here from its instructions, so that no binary file has to be trusted. Packing, and what is
// multiplied, are in `products.js`.

/** Rows, and columns, of one tile, whose sums stay in registers. */
export const TILE = 4;

const I32 = 0x7f,
  V128 = 0x7b;

/** @param {number} value @returns {number[]} an unsigned number in seven bits per byte */
const leb = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)]);
/** @param {number} value */
const get = (value) => [0x20, value];
/** @param {number} value */
const set = (value) => [0x21, value];
/** @param {number} value */
const constant = (value) => [0x41, ...signed(value)];
const ADD = [0x6a],
  MULTIPLY = [0x6c],
  LESS = [0x49];
/** @param {number[]} code */
const loop = (...code) => [0x03, 0x40, ...code, 0x0b];
const AGAIN = [0x0d, 0];
/** @param {number} offset of a vector of two, in bytes */
const load = (offset) => [0xfd, 0x00, 3, ...leb(offset)];
/** @param {number} offset */
const loadTwice = (offset) => [0xfd, 0x0a, 3, ...leb(offset)];
const STORE = [0xfd, 0x0b, 3, 0];
const ZERO = [0xfd, 0x0c, ...new Array(16).fill(0)];
const ADD_TWO = [0xfd, 0xf0, 0x01],
  MULTIPLY_TWO = [0xfd, 0xf2, 0x01];

/** @param {number} value a small number that isn't negative, as a signed one on the wire */
function signed(value) {
  const bytes = leb(value);
  return bytes[bytes.length - 1] & 64 ? [...bytes.slice(0, -1), bytes[bytes.length - 1] | 128, 0] : bytes;
}

/** Numbers of the function's parameters and locals. */
const [A, B, C, M, N, K, ROW, COLUMN, END, PA, PB, PC, LEFT, RIGHT] = Array.from({ length: 14 }, (_, place) => place);
const SUMS = 14;

/** @param {number} local @param {...number} amount the instructions that give it */
const increase = (local, ...amount) => [...get(local), ...amount, ...ADD, ...set(local)];
/** @param {number} local @param {number} bound the local that ends the loop */
const againWhileLess = (local, bound) => [...get(local), ...get(bound), ...LESS, ...AGAIN];

/** @returns {number[]} the instructions: for each tile of C, the sum over k of a column of A times a row of B */
function body() {
  const sums = Array.from({ length: 2 * TILE }, (_, place) => SUMS + place);
  const clear = sums.flatMap((sum) => [...ZERO, ...set(sum)]);
  const step = [
    ...get(PB),
    ...load(0),
    ...set(LEFT),
    ...get(PB),
    ...load(16),
    ...set(RIGHT),
    ...Array.from({ length: TILE }, (_, row) => [
      ...get(sums[2 * row]),
      ...get(PA),
      ...loadTwice(8 * row),
      ...get(LEFT),
      ...MULTIPLY_TWO,
      ...ADD_TWO,
      ...set(sums[2 * row]),
      ...get(sums[2 * row + 1]),
      ...get(PA),
      ...loadTwice(8 * row),
      ...get(RIGHT),
      ...MULTIPLY_TWO,
      ...ADD_TWO,
      ...set(sums[2 * row + 1]),
    ]).flat(),
    ...increase(PA, ...constant(8 * TILE)),
    ...increase(PB, ...constant(8 * TILE)),
    ...againWhileLess(PA, END),
  ];
  const store = Array.from({ length: TILE }, (_, row) => [
    ...get(PC),
    ...get(sums[2 * row]),
    ...STORE,
    ...get(PC),
    ...constant(16),
    ...ADD,
    ...get(sums[2 * row + 1]),
    ...STORE,
    ...increase(PC, ...get(N), ...constant(8), ...MULTIPLY),
  ]).flat();
  const panel = [...get(K), ...constant(8 * TILE), ...MULTIPLY];
  return [
    ...constant(0),
    ...set(ROW),
    ...loop(
      ...constant(0),
      ...set(COLUMN),
      ...get(B),
      ...set(PB),
      ...get(A),
      ...panel,
      ...ADD,
      ...set(END),
      ...loop(
        ...clear,
        ...get(A),
        ...set(PA),
        ...loop(...step),
        ...get(C),
        ...get(COLUMN),
        ...constant(8),
        ...MULTIPLY,
        ...ADD,
        ...set(PC),
        ...store,
        ...increase(COLUMN, ...constant(TILE)),
        ...againWhileLess(COLUMN, N),
      ),
      ...get(END),
      ...set(A),
      ...increase(C, ...get(N), ...constant(8 * TILE), ...MULTIPLY),
      ...increase(ROW, ...constant(TILE)),
      ...againWhileLess(ROW, M),
    ),
  ];
}

/** @param {number} kind @param {number[]} content */
const section = (kind, content) => [kind, ...leb(content.length), ...content];

/** @returns {Uint8Array<ArrayBuffer>} the module: `memory`, and `multiply(a, b, c, m, n, k)` on places in it */
function assembled() {
  const locals = [2, ...leb(6), I32, ...leb(2 + 2 * TILE), V128];
  const code = [...locals, ...body(), 0x0b];
  /** @param {string} name */
  const text = (name) => [name.length, ...new TextEncoder().encode(name)];
  return new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, 6, I32, I32, I32, I32, I32, I32, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...text("memory"), 2, 0, ...text("multiply"), 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

/**
 * @type {{ memory: WebAssembly.Memory, multiply: (a: number, b: number, c: number, m: number, n: number, k: number) =>
 *   void } | null}
 */
let opened = null;

/**
 * The kernel. C, M x N row by row, becomes A times B; M and N are multiples of `TILE`, K is at least 1.
 *
 * A holds `TILE` rows after one another, column by column; B likewise `TILE` columns, row by row.
 */
export function kernel() {
  if (!opened) {
    const module = new WebAssembly.Module(assembled());
    opened = /** @type {any} */ (new WebAssembly.Instance(module).exports);
  }
  return /** @type {NonNullable<typeof opened>} */ (opened);
}

/** Views of the kernel's memory of at least so many doubles: it grows, and stays. @param {number} doubles */
export function workspace(doubles) {
  const { memory } = kernel();
  const missing = 8 * doubles - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  return new Float64Array(memory.buffer);
}
