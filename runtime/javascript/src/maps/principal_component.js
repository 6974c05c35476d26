// The first principal component of a tensor's channels, for `reductions.js`: by Lanczos's method with full
// re-orthogonalisation (Golub and Van Loan, Matrix Computations, 10.1 to 10.3), so that no matrix C C is made.

/** @typedef {import("./channels.js").Channels} Channels */

const MOST_STEPS = 160;
/** Of the largest eigenvalue: the residual at which the method stops. */
const CONVERGED = 1e-13;
const SAME_ENERGY = 0.05;

/**
 * Each pixel's channels, less their mean over the image, projected on the direction in which they vary most; high
 * where the channels are large, or where that is nearly the same everywhere, where the farthest pixels are.
 * @param {Channels} tensor C H W
 * @returns {Float64Array} H W; NaN where a channel isn't finite
 */
export function principalComponent(tensor) {
  const { channels, data } = tensor;
  const pixels = tensor.height * tensor.width;
  const found = new Float64Array(pixels).fill(NaN);
  const kept = [];
  for (let pixel = 0; pixel < pixels; pixel++) {
    let finite = true;
    for (let channel = 0; channel < channels && finite; channel++)
      finite = Number.isFinite(data[channel * pixels + pixel]);
    if (finite) kept.push(pixel);
  }
  if (kept.length === 0) return found;
  const centred = new Float64Array(channels * kept.length);
  const energy = new Float64Array(kept.length);
  let scale = 0;
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0;
    for (const pixel of kept) sum += data[channel * pixels + pixel];
    const mean = sum / kept.length;
    kept.forEach((pixel, index) => {
      const value = data[channel * pixels + pixel];
      energy[index] += value * value;
      const moved = value - mean;
      centred[channel * kept.length + index] = moved;
      scale = Math.max(scale, Math.abs(moved));
    });
  }
  const scores = scale
    ? signed(firstScores(centred, channels, kept.length, scale), energy)
    : new Float64Array(kept.length);
  kept.forEach((pixel, index) => {
    found[pixel] = scores[index];
  });
  return found;
}

/**
 * C P to P: the scores of the first component. The squares of the largest numbers would overflow, hence `scale`.
 * @param {Float64Array} centred
 * @param {number} channels
 * @param {number} pixels
 * @param {number} scale
 */
function firstScores(centred, channels, pixels, scale) {
  const scaled = centred.map((value) => value / scale);
  const byChannels = channels <= pixels;
  const size = byChannels ? channels : pixels;
  /** @param {Float64Array} vector of pixels @returns {Float64Array} of channels */
  const down = (vector) => {
    const result = new Float64Array(channels);
    for (let channel = 0, at = 0; channel < channels; channel++) {
      let sum = 0;
      for (let pixel = 0; pixel < pixels; pixel++) sum += scaled[at++] * vector[pixel];
      result[channel] = sum;
    }
    return result;
  };
  /** @param {Float64Array} vector of channels @returns {Float64Array} of pixels */
  const up = (vector) => {
    const result = new Float64Array(pixels);
    for (let channel = 0, at = 0; channel < channels; channel++) {
      const weight = vector[channel];
      for (let pixel = 0; pixel < pixels; pixel++) result[pixel] += scaled[at++] * weight;
    }
    return result;
  };
  const { vector, value } = largestEigenpair((given) => (byChannels ? down(up(given)) : up(down(given))), size);
  if (byChannels) return up(vector).map((score) => score * scale);
  return vector.map((each) => each * Math.sqrt(Math.max(value, 0)) * scale);
}

/**
 * @param {(vector: Float64Array) => Float64Array} multiply by a symmetric matrix without negative eigenvalues
 * @param {number} size of the vectors
 */
function largestEigenpair(multiply, size) {
  /** @type {Float64Array[]} */
  const basis = [];
  /** @type {number[]} */
  const diagonal = [];
  /** @type {number[]} */
  const beside = [];
  let vector = normalised(startVector(size));
  let pair = { value: 0, coefficients: [1] };
  for (let step = 0; step < Math.min(size, MOST_STEPS); step++) {
    basis.push(vector);
    const next = multiply(vector);
    diagonal.push(dot(next, vector));
    // Twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9).
    for (let round = 0; round < 2; round++) for (const each of basis) subtract(next, each, dot(next, each));
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
 * The largest eigenvalue of a symmetric tridiagonal matrix by bisection (Sturm's count), its vector by two steps of
 * inverse iteration.
 * @param {number[]} diagonal
 * @param {number[]} beside one less
 */
function largestOfTridiagonal(diagonal, beside) {
  const size = diagonal.length;
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
 * The sign by which a map is high where the channels are strong.
 * @param {Float64Array} scores
 * @param {Float64Array} energy the sum of squares of each pixel's channels
 */
function signed(scores, energy) {
  const mean = energy.reduce((sum, each) => sum + each, 0) / energy.length;
  let low = Infinity;
  let high = -Infinity;
  let along = 0;
  let skew = 0;
  let largest = 0;
  scores.forEach((score, index) => {
    low = Math.min(low, energy[index]);
    high = Math.max(high, energy[index]);
    along += score * (energy[index] - mean);
    largest = Math.max(largest, Math.abs(score));
  });
  for (const score of scores) skew += (score / (largest || 1)) ** 3;
  const sign = high - low > SAME_ENERGY * high ? along : skew;
  return sign >= 0 ? scores : scores.map((score) => -score);
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
