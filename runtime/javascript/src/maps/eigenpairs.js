// The largest eigenvalues of a symmetric matrix and their vectors, by Lanczos's method with full re-orthogonalisation (Golub
// and Van Loan, Matrix Computations, 10.1 to 10.3): of a product alone, so that no matrix C C is made.

const MOST_STEPS = 160;
/** Of the largest eigenvalue: the residual at which the method stops. */
const CONVERGED = 1e-13;

/**
 * The eigenvectors of the largest eigenvalues, each in what is orthogonal to those before.
 * @param {(vector: Float64Array) => Float64Array} multiply by a symmetric matrix without negative eigenvalues
 * @param {number} size of the vectors
 * @param {number} count of them, if the matrix has so many
 */
export function largestEigenpairs(multiply, size, count) {
  /** @type {{ vector: Float64Array, value: number }[]} */
  const found = [];
  while (found.length < Math.min(count, size)) {
    found.push(largestEigenpair(multiply, size, found.map(({ vector }) => vector)));
  }
  return found;
}

/**
 * @param {(vector: Float64Array) => Float64Array} multiply as above
 * @param {number} size of the vectors
 * @param {Float64Array[]} known eigenvectors, to which it is orthogonal
 */
function largestEigenpair(multiply, size, known) {
  /** @type {Float64Array[]} */
  const basis = [];
  /** @type {number[]} */
  const diagonal = [];
  /** @type {number[]} */
  const beside = [];
  let vector = startVector(size);
  orthogonalise(vector, known);
  vector = normalised(vector);
  let pair = { value: 0, coefficients: [1] };
  for (let step = 0; step < Math.min(size - known.length, MOST_STEPS); step++) {
    basis.push(vector);
    const next = multiply(vector);
    diagonal.push(dot(next, vector));
    orthogonalise(next, [...known, ...basis]);
    const length = Math.sqrt(dot(next, next));
    pair = largestOfTridiagonal(diagonal, beside);
    if (length * Math.abs(pair.coefficients[step]) <= CONVERGED * Math.abs(pair.value) || length === 0) break;
    beside.push(length);
    vector = next.map((value) => value / length);
  }
  const found = new Float64Array(size);
  pair.coefficients.forEach((weight, index) => subtract(found, basis[index], -weight));
  return { vector: normalised(found), value: pair.value };
}

/**
 * Twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9).
 * @param {Float64Array} vector changed
 * @param {Float64Array[]} others of length 1
 */
function orthogonalise(vector, others) {
  for (let round = 0; round < 2; round++) for (const each of others) subtract(vector, each, dot(vector, each));
}

/**
 * The largest eigenvalue of a symmetric tridiagonal matrix by bisection (Sturm's count), its vector by two steps of
 * inverse iteration.
 * @param {number[]} diagonal
 * @param {number[]} beside one less
 */
function largestOfTridiagonal(diagonal, beside) {
  const size = diagonal.length;
  if (size === 1) return { value: diagonal[0], coefficients: [1] };
  const radius = (/** @type {number} */ index) =>
    Math.abs(beside[index - 1] ?? 0) + (index < size - 1 ? Math.abs(beside[index]) : 0);
  let low = Math.min(...diagonal.map((value, index) => value - radius(index)));
  let high = Math.max(...diagonal.map((value, index) => value + radius(index)));
  for (let round = 0; round < 120 && high - low > 4e-16 * Math.max(Math.abs(low), Math.abs(high)); round++) {
    const middle = (low + high) / 2;
    let above = 0;
    let pivot = 1;
    for (let index = 0; index < size; index++) {
      const left = index ? beside[index - 1] ** 2 / (pivot || Number.MIN_VALUE) : 0;
      pivot = diagonal[index] - middle - left;
      if (pivot > 0) above++;
    }
    if (above > 0) low = middle;
    else high = middle;
  }
  const value = (low + high) / 2;
  let coefficients = new Array(size).fill(1 / Math.sqrt(size));
  // A little aside, so that the matrix can be solved.
  const shift = value + Math.max(Math.abs(value), Number.MIN_VALUE) * 1e-15;
  for (let round = 0; round < 3; round++) coefficients = solvedTridiagonal(diagonal, beside, shift, coefficients);
  return { value, coefficients };
}

/**
 * @param {number[]} diagonal
 * @param {number[]} beside
 * @param {number} shift above every eigenvalue, so that elimination without pivoting is stable
 * @param {number[]} right
 */
function solvedTridiagonal(diagonal, beside, shift, right) {
  const size = diagonal.length;
  const pivots = [shift - diagonal[0] || Number.MIN_VALUE];
  const solved = [right[0]];
  for (let index = 1; index < size; index++) {
    const factor = beside[index - 1] / pivots[index - 1];
    pivots.push(shift - diagonal[index] - factor * beside[index - 1] || Number.MIN_VALUE);
    solved.push(right[index] + factor * solved[index - 1]);
  }
  for (let index = size - 1; index >= 0; index--) {
    solved[index] = (solved[index] + (index < size - 1 ? beside[index] * solved[index + 1] : 0)) / pivots[index];
  }
  const largest = Math.max(...solved.map(Math.abs)) || 1;
  const length = Math.sqrt(solved.reduce((sum, each) => sum + (each / largest) ** 2, 0));
  return solved.map((each) => each / largest / length);
}

/**
 * Neither zero nor aligned with an axis, and the same each time.
 * @param {number} size
 */
function startVector(size) {
  return Float64Array.from({ length: size }, (_, index) => 0.5 + ((index * 0.6180339887498949) % 1));
}

/** @param {Float64Array} one @param {Float64Array} other */
function dot(one, other) {
  let sum = 0;
  for (let index = 0; index < one.length; index++) sum += one[index] * other[index];
  return sum;
}

/** @param {Float64Array} from changed @param {Float64Array} vector @param {number} weight */
function subtract(from, vector, weight) {
  for (let index = 0; index < from.length; index++) from[index] -= weight * vector[index];
}

/** @param {Float64Array} vector */
function normalised(vector) {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}
