// The tensors of a float64 evaluation, and NumPy's few verbs on them: broadcasting, reducing, moving axes.
//
// Operators are in the files that `operators.js` lists.

/**
 * @typedef {"float64" | "int64" | "int32" | "uint8" | "int8" | "bool"} Kind what its numbers are; all are held as
 *   doubles
 */

/** Of one tensor: 1 GB. */
const MOST_ELEMENTS = 2 ** 27;

/** What can't be computed here; its message says why. */
export class NotComputed extends Error {}

/**
 * A tensor. Never written to once it is the result of an operator.
 */
export class Values {
  /**
   * @param {readonly number[]} shape
   * @param {Float64Array | Float32Array} data row by row
   * @param {Kind} [kind]
   */
  constructor(shape, data, kind = "float64") {
    this.shape = shape;
    this.data = data;
    this.kind = kind;
  }

  get size() {
    return this.data.length;
  }

  get rank() {
    return this.shape.length;
  }

  get isFloat() {
    return this.kind === "float64";
  }

  /** @param {readonly number[]} shape of as many elements @returns {Values} */
  reshaped(shape) {
    if (sizeOf(shape) !== this.size || !shape.every(Number.isInteger)) {
      throw new NotComputed(`${this.size} elements don't make ${shape.join(" x ")}`);
    }
    return new Values(shape, this.data, this.kind);
  }

  /** @returns {number[]} its elements, of a tensor of sizes */
  list() {
    return Array.from(this.data);
  }
}

/** @param {readonly number[]} shape */
export function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * @param {readonly number[]} shape
 * @param {Kind} [kind]
 * @returns {Values} zeros
 */
export function zeros(shape, kind = "float64") {
  refuseTooMany(shape);
  if (shape.some((each) => !Number.isInteger(each) || each < 0))
    throw new NotComputed(`${shape.join(" x ")} is no shape`);
  return new Values([...shape], new Float64Array(sizeOf(shape)), kind);
}

/**
 * A few bytes of a file ask for a tensor of any size.
 *
 * @param {readonly number[]} shape
 * @throws {NotComputed} it is too large
 */
export function refuseTooMany(shape) {
  if (!(sizeOf(shape) <= MOST_ELEMENTS))
    throw new NotComputed(`a result of ${shape.join(" x ")} elements is too large`);
}

/** @param {number} value @param {Kind} [kind] @returns {Values} */
export function scalar(value, kind = "float64") {
  return new Values([], Float64Array.of(value), kind);
}

/** @param {number[]} list @param {Kind} [kind] @returns {Values} a tensor of one axis */
export function vector(list, kind = "int64") {
  return new Values([list.length], Float64Array.from(list), kind);
}

/** @param {number} axis @param {number} rank @returns {number} it, counted from the front */
export function axisOf(axis, rank) {
  if (!(axis >= -rank && axis < rank)) throw new NotComputed(`there is no axis ${axis} in a tensor of ${rank}`);
  return axis < 0 ? axis + rank : axis;
}

/** @param {readonly number[]} shape @returns {number[]} elements from one place to the next, by axis */
export function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

/** @param {readonly (readonly number[])[]} shapes @returns {number[]} what they broadcast to */
export function broadcastShape(...shapes) {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own !== 1 && size !== 1 && own !== size) {
        throw new NotComputed(`${shapes.map((each) => each.join(" x ") || "a scalar").join(" and ")} don't broadcast`);
      }
      if (own !== 1) size = own;
    }
    return size;
  });
}

/** @param {readonly number[]} one @param {readonly number[]} other */
export function sameShape(one, other) {
  return one.length === other.length && one.every((size, axis) => size === other[axis]);
}

/** @param {Values} x @param {(value: number) => number} f @param {Kind} [kind] @returns {Values} */
export function map(x, f, kind = "float64") {
  const { data } = x,
    out = new Float64Array(data.length);
  for (let place = 0; place < out.length; place++) out[place] = f(data[place]);
  return new Values(x.shape, out, kind);
}

/**
 * @param {Values} a
 * @param {Values} b
 * @param {(a: number, b: number) => number} f
 * @param {Kind} [kind]
 * @returns {Values} of each element of the one with that of the other, broadcast
 */
export function zip(a, b, f, kind = "float64") {
  const shape = sameShape(a.shape, b.shape) ? a.shape : broadcastShape(a.shape, b.shape);
  const out = zeros(shape, kind),
    { data } = out,
    x = a.data,
    y = b.data;
  if (x.length === data.length && y.length === data.length) {
    for (let place = 0; place < data.length; place++) data[place] = f(x[place], y[place]);
  } else if (y.length === 1) {
    for (let place = 0; place < data.length; place++) data[place] = f(x[place], y[0]);
  } else if (x.length === 1) {
    for (let place = 0; place < data.length; place++) data[place] = f(x[0], y[place]);
  } else {
    eachRow(shape, [a.shape, b.shape], (at, length, [from, other], [step, otherStep]) => {
      for (let k = 0; k < length; k++) data[at + k] = f(x[from + k * step], y[other + k * otherStep]);
    });
  }
  return out;
}

/**
 * Walk through a broadcast, a stretch of its last axis at a time.
 *
 * @param {readonly number[]} shape that of the result
 * @param {readonly (readonly number[])[]} shapes of what is broadcast
 * @param {(at: number, length: number, from: number[], steps: number[]) => void} visit where the stretch is in the
 *     result, and in each tensor, with the step from one element to the next there (0 or 1)
 */
export function eachRow(shape, shapes, visit) {
  const rank = shape.length,
    size = sizeOf(shape);
  if (size === 0) return;
  const steps = shapes.map((own) => {
    const strides = stridesOf(own),
      lacking = rank - own.length;
    return shape.map((_, axis) => (axis < lacking || own[axis - lacking] === 1 ? 0 : strides[axis - lacking]));
  });
  const length = rank ? shape[rank - 1] : 1,
    last = steps.map((each) => each[rank - 1] ?? 0);
  const index = new Array(Math.max(0, rank - 1)).fill(0),
    from = shapes.map(() => 0);
  for (let at = 0; at < size; at += length) {
    visit(at, length, from, last);
    for (let axis = rank - 2; axis >= 0; axis--) {
      index[axis]++;
      for (let each = 0; each < from.length; each++) from[each] += steps[each][axis];
      if (index[axis] < shape[axis]) break;
      for (let each = 0; each < from.length; each++) from[each] -= steps[each][axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** @param {Values} x @param {readonly number[]} shape @returns {Values} it, repeated along the axes of size 1 */
export function broadcastTo(x, shape) {
  if (sameShape(x.shape, shape)) return x;
  const out = zeros(shape, x.kind),
    { data } = out,
    from = x.data;
  if (!sameShape(broadcastShape(x.shape, shape), shape)) {
    throw new NotComputed(`${x.shape.join(" x ")} doesn't broadcast to ${shape.join(" x ")}`);
  }
  eachRow(shape, [x.shape], (at, length, [begin], [step]) => {
    if (step) data.set(from.subarray(begin, begin + length), at);
    else data.fill(from[begin], at, at + length);
  });
  return out;
}

/**
 * @param {Values} x
 * @param {readonly number[]} axes over which it goes
 * @param {number} start
 * @param {(total: number, value: number) => number} f
 * @param {boolean} [keep] whether these axes stay, of size 1
 * @returns {Values}
 */
export function reduce(x, axes, start, f, keep = true) {
  const over = new Set(axes.map((axis) => axisOf(axis, x.rank)));
  const kept = x.shape.map((size, axis) => (over.has(axis) ? 1 : size));
  const out = zeros(kept, x.kind),
    { data } = out,
    from = x.data;
  data.fill(start);
  eachRow(x.shape, [kept], (at, length, [to], [step]) => {
    if (step) for (let k = 0; k < length; k++) data[to + k] = f(data[to + k], from[at + k]);
    else {
      let total = data[to];
      for (let k = 0; k < length; k++) total = f(total, from[at + k]);
      data[to] = total;
    }
  });
  return keep ? out : out.reshaped(x.shape.filter((_, axis) => !over.has(axis)));
}

/** @param {number} a @param {number} b */
const add = (a, b) => a + b;

/** @param {Values} x @param {readonly number[]} axes @param {boolean} [keep] @returns {Values} */
export function sum(x, axes, keep = true) {
  return reduce(x, axes, 0, add, keep);
}

/** @param {Values} x @param {readonly number[]} axes @param {boolean} [keep] @returns {Values} */
export function mean(x, axes, keep = true) {
  const total = sum(x, axes, keep),
    count = x.size / total.size;
  return map(total, (each) => each / count);
}

/** The larger one; NaN where one is, as NumPy's maximum. @param {number} a @param {number} b */
export const larger = (a, b) => (a > b || a !== a ? a : b);
/** @param {number} a @param {number} b */
export const smaller = (a, b) => (a < b || a !== a ? a : b);

/** @param {Values} x @returns {number} its largest element, 0 if it has none that is finite and above */
export function largestFinite(x) {
  let found = 0;
  for (const each of x.data) if (each > found && each < Infinity) found = each;
  return found;
}

/** @param {Values} x @param {readonly number[]} order which of its axes each of the new ones is @returns {Values} */
export function transpose(x, order) {
  const shape = order.map((axis) => x.shape[axis]),
    strides = stridesOf(x.shape),
    steps = order.map((axis) => strides[axis]);
  const out = zeros(shape, x.kind);
  copyStrided(out.data, shape, x.data, 0, steps);
  return out;
}

/**
 * Fill a tensor, row by row, from elements at fixed steps.
 *
 * @param {Float64Array | Float32Array} to
 * @param {readonly number[]} shape of it
 * @param {Float64Array | Float32Array} from
 * @param {number} begin the first element's place
 * @param {readonly number[]} steps by axis
 */
export function copyStrided(to, shape, from, begin, steps) {
  const rank = shape.length,
    size = to.length;
  if (size === 0) return;
  const length = rank ? shape[rank - 1] : 1,
    step = rank ? steps[rank - 1] : 0;
  const index = new Array(rank).fill(0);
  for (let at = 0, source = begin; at < size; at += length) {
    if (step === 1) to.set(from.subarray(source, source + length), at);
    else for (let k = 0, place = source; k < length; k++, place += step) to[at + k] = from[place];
    for (let axis = rank - 2; axis >= 0; axis--) {
      source += steps[axis];
      if (++index[axis] < shape[axis]) break;
      source -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

/** @param {Values} x @returns {Values} absolute values, of floats or whole numbers */
export function absolute(x) {
  const { data } = x,
    out = new Float64Array(data.length);
  for (let place = 0; place < out.length; place++) out[place] = Math.abs(data[place]);
  return new Values(x.shape, out, x.kind);
}
