// Activations, arithmetic and comparisons, element by element.

import { Values, broadcastShape, broadcastTo, larger, map, smaller, zip } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {(call: Call) => Values[]} Operator */
/** @typedef {import("./values.js").Kind} Kind */

/** @param {(x: number) => number} f @returns {Operator} */
export const unary = (f) => (call) => {
  const [x] = call.given(1);
  return [map(x, f, x.kind)];
};

/**
 * @param {readonly string[]} names of attributes that are numbers
 * @param {(...numbers: number[]) => (x: number) => number} make
 * @returns {Operator}
 */
export const parameterized = (names, make) => (call) => {
  const [x] = call.given(1);
  return [map(x, make(...names.map((name) => call.float(name))), x.kind)];
};

/** @param {(a: number, b: number) => number} f @returns {Operator} */
export const binary = (f) => (call) => {
  const [a, b] = call.given(2);
  return [zip(a, b, f, a.kind)];
};

/** @param {(a: number, b: number) => boolean} f @returns {Operator} */
export const comparison = (f) => (call) => {
  const [a, b] = call.given(2);
  return [zip(a, b, (one, other) => (f(one, other) ? 1 : 0), "bool")];
};

/**
 * @param {(total: number, value: number) => number} f
 * @param {boolean} [averaged]
 * @returns {Operator} of any number of tensors
 */
export const variadic =
  (f, averaged = false) =>
  (call) => {
    const given = call.given(call.inputs.length);
    const total = given.slice(1).reduce((sum, each) => zip(sum, each, f, sum.kind), given[0]);
    return [averaged ? map(total, (each) => each / given.length) : total];
  };

/** @param {(x: number) => boolean} f @returns {Operator} */
export const test = (f) => (call) => [map(call.given(1)[0], (x) => (f(x) ? 1 : 0), "bool")];

/** @param {Call} call @returns {Values[]} whole numbers are cut off towards 0 */
export function divide(call) {
  const [a, b] = call.given(2);
  return [zip(a, b, a.isFloat ? (x, y) => x / y : (x, y) => Math.trunc(x / y), a.kind)];
}

/** @param {Call} call @returns {Values[]} of the sign of the divisor, or of the dividend with `fmod` */
export function modulo(call) {
  const [a, b] = call.given(2);
  return [zip(a, b, call.int("fmod") ? (x, y) => x % y : (x, y) => x - y * Math.floor(x / y), a.kind)];
}

/** @param {Call} call @returns {Values[]} */
export function clip(call) {
  const [x] = call.given(1),
    older = call.opset < 11;
  const low = older ? call.attribute("min") : call.inputs[1]?.data[0],
    high = older ? call.attribute("max") : call.inputs[2]?.data[0];
  const [least, most] = [low ?? -Infinity, high ?? Infinity];
  return [map(x, (value) => smaller(larger(value, least), most), x.kind)];
}

/** @param {Call} call @returns {Values[]} */
export function where(call) {
  const [condition, yes, no] = call.given(3),
    shape = broadcastShape(condition.shape, yes.shape, no.shape);
  const [c, a, b] = [condition, yes, no].map((each) => broadcastTo(each, shape).data);
  return [
    new Values(
      shape,
      Float64Array.from(c, (each, place) => (each ? a[place] : b[place])),
      yes.kind,
    ),
  ];
}

/** @param {Call} call @returns {Values[]} */
export function preluOf(call) {
  const [x, slope] = call.given(2);
  return [zip(x, slope, (value, factor) => (value < 0 ? value * factor : value))];
}

/** @param {number} x half to even */
export function rounded(x) {
  const near = Math.round(x);
  return near - x === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** @param {number} x */
export const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
/** @param {number} x */
export const softplus = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

/** With the numbers of Klambauer et al. (2017), of which ONNX's own are float32's nearest. */
const SELU = [1.6732632423543772, 1.0507009873554805];

/** @param {number} alpha @param {number} gamma @returns {(x: number) => number} */
export function selu(alpha, gamma) {
  const [a, g] = [alpha, gamma].map((given, place) =>
    Math.fround(given) === Math.fround(SELU[place]) ? SELU[place] : given,
  );
  return (x) => g * (x > 0 ? x : a * Math.expm1(x));
}

/** @param {Call} call @returns {Values[]} exact, or by tanh */
export function gelu(call) {
  const [x] = call.given(1),
    half = Math.sqrt(0.5),
    slope = Math.sqrt(2 / Math.PI);
  const byTanh = call.text("approximate") === "tanh";
  const f = byTanh
    ? (/** @type {number} */ v) => 0.5 * v * (1 + Math.tanh(slope * (v + 0.044715 * v ** 3)))
    : (/** @type {number} */ v) => 0.5 * v * (1 + erf(v * half));
  return [map(x, f)];
}

/** @param {Call} call @returns {Values[]} x sigmoid(alpha x) */
export function swish(call) {
  const [x] = call.given(1),
    alpha = call.float("alpha");
  return [map(x, (value) => value * sigmoid(alpha * value))];
}

const STEP = 1 / 512,
  END = 6;

/** @type {Float64Array | null} of erf's Taylor series at places one step apart: the constant and four coefficients */
let table = null;

function erfTable() {
  const places = Math.round(END / STEP) + 1,
    found = new Float64Array(5 * places);
  for (let place = 0, value = 0; place < places; place++) {
    const x = place * STEP,
      slope = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);
    found.set(
      [value, slope, -slope * x, (slope * (4 * x * x - 2)) / 6, (slope * (12 * x - 8 * x ** 3)) / 24],
      5 * place,
    );
    value += integral(x, x + STEP);
  }
  return found;
}

/**
 * Gauss and Legendre's rule of five points: exact to 1e-19 over so short a way.
 *
 * @param {number} from
 * @param {number} to
 */
function integral(from, to) {
  const middle = (from + to) / 2,
    half = (to - from) / 2;
  const root = (/** @type {number} */ sign) => Math.sqrt(5 + sign * 2 * Math.sqrt(10 / 7)) / 3;
  const weight = (/** @type {number} */ sign) => (322 + sign * 13 * Math.sqrt(70)) / 900;
  const density = (/** @type {number} */ x) => Math.exp(-x * x);
  const inner = density(middle - half * root(-1)) + density(middle + half * root(-1));
  const outer = density(middle - half * root(1)) + density(middle + half * root(1));
  return (2 / Math.sqrt(Math.PI)) * half * ((128 / 225) * density(middle) + weight(1) * inner + weight(-1) * outer);
}

/**
 * The error function, to 3e-15: half a step from the nearest place, the first omitted term is at most 1e-16.
 *
 * @param {number} x
 */
export function erf(x) {
  if (x !== x) return x;
  table ??= erfTable();
  const size = Math.min(Math.abs(x), END),
    place = Math.round(size / STEP),
    distance = size - place * STEP,
    at = 5 * place;
  const found =
    table[at] +
    distance * (table[at + 1] + distance * (table[at + 2] + distance * (table[at + 3] + distance * table[at + 4])));
  return x < 0 ? -found : found;
}
