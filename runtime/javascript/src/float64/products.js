// Matrix products: Gemm, MatMul, and what convolutions consist of. The inner loop is in `product_kernel.js`.

import { TILE, kernel, workspace } from "./product_kernel.js";
import { NotComputed, Values, broadcastShape, eachRow, sizeOf, transpose, zeros, zip } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {Float64Array | Float32Array} Numbers */

/** Doubles of the left matrix, and of a block of the right one, that are packed together: 16 MB, and 1 MB. */
const LEFT = 2 ** 21,
  RIGHT = 2 ** 17;

/** @param {number} count */
const tiled = (count) => Math.ceil(count / TILE) * TILE;

/**
 * Multiply M x K by K x N, block by block.
 *
 * @param {number} m
 * @param {number} n
 * @param {number} k
 * @param {(to: Float64Array, at: number, first: number, count: number) => void} packLeft writes rows as the kernel takes
 *     them: by panels of `TILE` rows, column by column; rows that lack may stay as they are
 * @param {(to: Float64Array, at: number, first: number, count: number) => void} packRight likewise, columns
 * @param {Numbers} out M x N, row by row
 * @param {number} at where it begins there
 */
export function product(m, n, k, packLeft, packRight, out, at) {
  if (!m || !n) return;
  if (!k) return void out.fill(0, at, at + m * n);
  const rows = Math.min(tiled(m), Math.max(TILE, Math.floor(LEFT / k / TILE) * TILE));
  const columns = Math.min(tiled(n), Math.max(TILE, Math.floor(RIGHT / k / TILE) * TILE));
  const space = workspace((rows + columns) * k + rows * columns),
    right = rows * k,
    result = right + columns * k;
  const { multiply } = kernel();
  for (let row = 0; row < m; row += rows) {
    const height = Math.min(rows, m - row);
    packLeft(space, 0, row, height);
    for (let column = 0; column < n; column += columns) {
      const width = Math.min(columns, n - column),
        wide = tiled(width);
      packRight(space, right, column, width);
      multiply(0, 8 * right, 8 * result, tiled(height), wide, k);
      for (let each = 0; each < height; each++) {
        const from = result + each * wide;
        out.set(space.subarray(from, from + width), at + (row + each) * n + column);
      }
    }
  }
}

/**
 * Return what packs vectors (rows of the left matrix, or columns of the right one) of a tensor.
 *
 * @param {Numbers} data
 * @param {number} begin the first element's place
 * @param {number} next from one vector to the next
 * @param {number} step from one element of a vector to the next
 * @param {number} k elements of a vector
 */
export function vectors(data, begin, next, step, k) {
  /** @param {Float64Array} to @param {number} at @param {number} first @param {number} count */
  return (to, at, first, count) => {
    for (let each = 0; each < count; each++) {
      let from = begin + (first + each) * next,
        place = at + (each - (each % TILE)) * k + (each % TILE);
      for (let element = 0; element < k; element++, place += TILE, from += step) to[place] = data[from];
    }
  };
}

/** @param {Call} call @returns {Values[]} */
export function matMul(call) {
  const [a, b] = call.given(2);
  if (!a.rank || !b.rank) throw new NotComputed("MatMul of a scalar");
  const left = a.rank === 1 ? a.reshaped([1, a.size]) : a,
    right = b.rank === 1 ? b.reshaped([b.size, 1]) : b;
  const [m, k] = left.shape.slice(-2),
    [inner, n] = right.shape.slice(-2);
  if (k !== inner)
    throw new NotComputed(`matrices of ${a.shape.join(" x ")} and ${b.shape.join(" x ")} can't be multiplied`);
  const batch = broadcastShape(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const shape = [...batch, ...(a.rank === 1 ? [] : [m]), ...(b.rank === 1 ? [] : [n])];
  const out = zeros(shape, a.kind);
  if (sizeOf(right.shape.slice(0, -2)) === 1 && left.rank > 2) {
    // One matrix for all: a single product, whose right side is packed once.
    const all = left.size / Math.max(1, k);
    product(all, n, k, vectors(left.data, 0, k, 1, k), vectors(right.data, 0, 1, n, k), out.data, 0);
    return [out];
  }
  const places = /** @type {[number, number][]} */ ([]);
  eachRow(
    [...batch, 1],
    [
      [...left.shape.slice(0, -2), 1],
      [...right.shape.slice(0, -2), 1],
    ],
    (_, __, [one, other]) => {
      places.push([one, other]);
    },
  );
  places.forEach(([one, other], number) => {
    const rows = vectors(left.data, one * m * k, k, 1, k),
      columns = vectors(right.data, other * k * n, 1, n, k);
    product(m, n, k, rows, columns, out.data, number * m * n);
  });
  return [out];
}

/** @param {Call} call @returns {Values[]} */
export function gemm(call) {
  const [a, b, c] = call.inputs;
  if (!a || !b || a.rank !== 2 || b.rank !== 2) throw new NotComputed("Gemm takes two matrices");
  const [ta, tb] = [call.int("transA"), call.int("transB")],
    alpha = call.float("alpha"),
    beta = call.float("beta");
  const [m, k] = ta ? [a.shape[1], a.shape[0]] : a.shape,
    [inner, n] = tb ? [b.shape[1], b.shape[0]] : b.shape;
  if (k !== inner) throw new NotComputed(`Gemm of ${a.shape.join(" x ")} and ${b.shape.join(" x ")}`);
  const out = zeros([m, n]);
  const rows = ta ? vectors(a.data, 0, 1, m, k) : vectors(a.data, 0, k, 1, k);
  const columns = tb ? vectors(b.data, 0, k, 1, k) : vectors(b.data, 0, 1, n, k);
  product(m, n, k, rows, columns, out.data, 0);
  if (alpha !== 1) for (let place = 0; place < out.size; place++) out.data[place] *= alpha;
  return [c ? zip(out, c, (total, bias) => total + beta * bias) : out];
}

/** @param {Call} call @returns {Values[]} its equation, as a product of matrices where it is one of two operands */
export function einsum(call) {
  const [left, right, result] = equation(call.text("equation")),
    [a, b] = call.given(2);
  if (call.inputs.length !== 2) throw new NotComputed("Einsum of other than two tensors");
  const sizes = new Map([...left].map((letter, axis) => [letter, a.shape[axis]]));
  [...right].forEach((letter, axis) => sizes.set(letter, b.shape[axis]));
  const batch = [...result].filter((letter) => left.includes(letter) && right.includes(letter));
  const [rows, columns] = [left, right].map((own) =>
    [...result].filter((each) => own.includes(each) && !batch.includes(each)),
  );
  const inner = [...left].filter((letter) => right.includes(letter) && !result.includes(letter));
  if (
    left.length !== batch.length + rows.length + inner.length ||
    right.length !== batch.length + columns.length + inner.length
  ) {
    throw new NotComputed(`Einsum with ${call.text("equation")}`);
  }
  /** @param {string[]} letters */
  const count = (letters) => sizeOf(letters.map((letter) => Number(sizes.get(letter))));
  /** @param {Values} x @param {string} own @param {string[]} order */
  const ordered = (x, own, order) =>
    transpose(
      x,
      order.map((letter) => own.indexOf(letter)),
    );
  const one = ordered(a, left, [...batch, ...rows, ...inner]),
    other = ordered(b, right, [...batch, ...columns, ...inner]);
  const [m, n, k] = [count(rows), count(columns), count(inner)],
    found = [...batch, ...rows, ...columns];
  const out = zeros(found.map((letter) => Number(sizes.get(letter))));
  for (let each = 0; each < count(batch); each++) {
    const packed = vectors(one.data, each * m * k, k, 1, k),
      packedRight = vectors(other.data, each * n * k, k, 1, k);
    product(m, n, k, packed, packedRight, out.data, each * m * n);
  }
  return [
    transpose(
      out,
      [...result].map((letter) => found.indexOf(letter)),
    ),
  ];
}

/** @param {string} text @returns {[string, string, string]} */
function equation(text) {
  const parts = /^([A-Za-z]+),([A-Za-z]+)->([A-Za-z]*)$/.exec(text.replaceAll(" ", ""));
  if (!parts || [parts[1], parts[2], parts[3]].some((each) => new Set(each).size < each.length)) {
    throw new NotComputed(`Einsum with ${text}`);
  }
  return [parts[1], parts[2], parts[3]];
}
