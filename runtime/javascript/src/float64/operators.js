// The table of operators: what computes one in float64, and the rule of its natural scale. To add one, add its row.

import { conv, convTranspose } from "./convolutions.js";
import * as each from "./elementwise.js";
import * as moving from "./moving.js";
import * as rule from "./natural_scale.js";
import * as norm from "./normalizations.js";
import * as pools from "./pools.js";
import { einsum, gemm, matMul } from "./products.js";
import * as reduced from "./reductions.js";
import { resize, resizeByScales } from "./resizing.js";
import * as sizes from "./sizes.js";
import { larger, smaller } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./values.js").Values} Values */

/**
 * @typedef {object} Operator
 * @property {(call: Call) => Values[]} compute one result for each output of the node
 * @property {rule.Rule} scale
 * @property {boolean} alone whether runtimes compute it in a kernel of its own, of which what precedes it is no part
 */

/** @param {Operator["compute"]} compute @param {rule.Rule} scale @param {boolean} [alone] @returns {Operator} */
const row = (compute, scale, alone = false) => ({ compute, scale, alone });

const { unary, binary, parameterized, comparison } = each;
const { linear, copied, elementwise, ofFirst, ofResult, ofExp } = rule;

const moves = copied(),
  first = elementwise(ofFirst, 1),
  step = elementwise(ofFirst),
  result = elementwise(ofResult);
const smooth = elementwise(ofFirst, 1.5),
  bounded = elementwise(ofExp, 1.8),
  logarithmic = elementwise(ofExp);
const total = linear(),
  exact = rule.ofUnknown,
  fourfold = elementwise(rule.ofResultTimes(4));
const steep = elementwise(rule.ofResultAndArgument),
  wave = elementwise(rule.ofArgument, 1);

/**
 * By name. The slopes are those of PyTorch's functions (1.13 for GELU and Swish, 1.76 for SELU).
 *
 * @type {Record<string, Operator>}
 */
const TABLE = {
  // Sums of products.
  Conv: row(conv, rule.convolved, true),
  ConvTranspose: row(convTranspose, rule.convolved, true),
  Gemm: row(gemm, total, true),
  MatMul: row(matMul, total, true),
  Einsum: row(einsum, total, true),
  // Normalizations.
  BatchNormalization: row(norm.batchNormalization, rule.ofBatchNorm, true),
  LayerNormalization: row(norm.layerNormalization, rule.ofNorm, true),
  RMSNormalization: row(norm.rmsNormalization, rule.ofNorm, true),
  InstanceNormalization: row(norm.instanceNormalization, rule.ofNorm, true),
  GroupNormalization: row(norm.groupNormalization, rule.ofNorm, true),
  MeanVarianceNormalization: row(norm.meanVarianceNormalization, rule.ofNorm, true),
  Softmax: row(norm.softmax, rule.ofSoftmax, true),
  LogSoftmax: row(norm.logSoftmax, rule.ofSoftmax, true),
  LRN: row(norm.lrn, fourfold),
  LpNormalization: row(norm.lpNormalization, fourfold),
  // Pools and reductions.
  AveragePool: row(pools.averagePool, total),
  GlobalAveragePool: row(pools.globalAveragePool, total),
  MaxPool: row(pools.maxPool, moves),
  GlobalMaxPool: row(pools.globalMaxPool, moves),
  LpPool: row(pools.lpPool, fourfold),
  GlobalLpPool: row(pools.globalLpPool, fourfold),
  ReduceMean: row(reduced.reduceMean, total),
  ReduceSum: row(reduced.reduceSum, total),
  ReduceL1: row(reduced.reduceL1, total),
  ReduceL2: row(reduced.reduceL2, fourfold),
  ReduceSumSquare: row(reduced.reduceSumSquare, fourfold),
  ReduceMax: row(reduced.reduceMax, moves),
  ReduceMin: row(reduced.reduceMin, exact, true),
  ReduceProd: row(reduced.reduceProd, exact, true),
  ReduceLogSum: row(reduced.reduceLogSum, exact, true),
  ArgMax: row(
    reduced.argument((value, best) => value > best),
    exact,
    true,
  ),
  ArgMin: row(
    reduced.argument((value, best) => value < best),
    exact,
    true,
  ),
  CumSum: row(reduced.cumSum, total),
  // Arithmetic.
  Add: row(
    binary((a, b) => a + b),
    rule.added,
  ),
  Sub: row(
    binary((a, b) => a - b),
    rule.added,
  ),
  Sum: row(
    each.variadic((a, b) => a + b),
    rule.added,
  ),
  Mean: row(
    each.variadic((a, b) => a + b, true),
    rule.added,
  ),
  Mul: row(
    binary((a, b) => a * b),
    rule.multiplied,
  ),
  Div: row(each.divide, result),
  Mod: row(each.modulo, step),
  Pow: row(
    binary((a, b) => a ** b),
    elementwise(rule.ofPower),
  ),
  Max: row(each.variadic(larger), elementwise(ofResult, 1)),
  Min: row(each.variadic(smaller), elementwise(ofResult, 1)),
  Where: row(each.where, copied(1, 2)),
  // Activations and functions.
  Abs: row(unary(Math.abs), first),
  Neg: row(
    unary((x) => -x),
    first,
  ),
  Relu: row(
    unary((x) => (x < 0 ? 0 : x)),
    first,
  ),
  Clip: row(each.clip, first),
  LeakyRelu: row(
    parameterized(["alpha"], (alpha) => (x) => (x < 0 ? alpha * x : x)),
    first,
  ),
  PRelu: row(each.preluOf, first),
  ThresholdedRelu: row(
    parameterized(["alpha"], (alpha) => (x) => (x > alpha ? x : 0)),
    first,
  ),
  Shrink: row(
    parameterized(["bias", "lambd"], (bias, lambd) => (x) => (x < -lambd ? x + bias : x > lambd ? x - bias : 0)),
    first,
  ),
  HardSwish: row(
    unary((x) => (x * Math.min(6, Math.max(0, x + 3))) / 6),
    smooth,
  ),
  Swish: row(each.swish, smooth),
  Gelu: row(each.gelu, smooth),
  Mish: row(
    unary((x) => x * Math.tanh(each.softplus(x))),
    smooth,
  ),
  Floor: row(unary(Math.floor), step),
  Ceil: row(unary(Math.ceil), step),
  Round: row(unary(each.rounded), step),
  Sign: row(unary(Math.sign), step),
  Sqrt: row(unary(Math.sqrt), result),
  Reciprocal: row(
    unary((x) => 1 / x),
    result,
  ),
  Softsign: row(
    unary((x) => x / (1 + Math.abs(x))),
    result,
  ),
  Sigmoid: row(unary(each.sigmoid), bounded),
  HardSigmoid: row(
    parameterized(["alpha", "beta"], (alpha, beta) => (x) => Math.max(0, Math.min(1, alpha * x + beta))),
    bounded,
  ),
  Tanh: row(unary(Math.tanh), bounded),
  Erf: row(unary(each.erf), bounded),
  Elu: row(
    parameterized(["alpha"], (alpha) => (x) => (x < 0 ? alpha * Math.expm1(x) : x)),
    bounded,
  ),
  Selu: row(parameterized(["alpha", "gamma"], each.selu), bounded),
  Celu: row(
    parameterized(["alpha"], (alpha) => (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha))),
    bounded,
  ),
  Softplus: row(unary(each.softplus), bounded),
  Atan: row(unary(Math.atan), bounded),
  Log: row(unary(Math.log), logarithmic),
  Acos: row(unary(Math.acos), logarithmic),
  Asin: row(unary(Math.asin), logarithmic),
  Exp: row(unary(Math.exp), steep),
  Sinh: row(unary(Math.sinh), steep),
  Cosh: row(unary(Math.cosh), steep),
  Sin: row(unary(Math.sin), wave),
  Cos: row(unary(Math.cos), wave),
  // Copies.
  Identity: row(moving.identity, moves),
  Dropout: row(moving.dropout, moves),
  Reshape: row(moving.reshape, moves),
  Flatten: row(moving.flatten, moves),
  Squeeze: row(moving.squeeze, moves),
  Unsqueeze: row(moving.unsqueeze, moves),
  Transpose: row(moving.transposed, moves),
  Concat: row(moving.concat, moves),
  Split: row(moving.split, moves),
  Slice: row(moving.slice, moves),
  Gather: row(moving.gather, moves),
  GatherElements: row(moving.gatherElements, moves),
  ScatterND: row(moving.scatterND, moves),
  Expand: row(moving.expand, moves),
  Tile: row(moving.tile, moves),
  Pad: row(moving.pad, moves),
  DepthToSpace: row(moving.depthToSpace, moves),
  SpaceToDepth: row(moving.spaceToDepth, moves),
  Trilu: row(moving.trilu, moves),
  Resize: row((call) => (call.opset < 11 ? resizeByScales(call) : resize(call)), rule.sampled),
  Upsample: row(resizeByScales, rule.sampled),
  Cast: row(sizes.cast, first),
  CastLike: row(sizes.castLike, elementwise(ofFirst, 1, 1)),
  // Sizes, constants and conditions, which are exact.
  Shape: row(sizes.shape, exact, true),
  Size: row(sizes.size, exact, true),
  Constant: row(sizes.constant, exact, true),
  ConstantOfShape: row(sizes.constantOfShape, exact, true),
  Range: row(sizes.range, exact, true),
  NonZero: row(sizes.nonZero, exact, true),
  Equal: row(
    comparison((a, b) => a === b),
    exact,
    true,
  ),
  Less: row(
    comparison((a, b) => a < b),
    exact,
    true,
  ),
  LessOrEqual: row(
    comparison((a, b) => a <= b),
    exact,
    true,
  ),
  Greater: row(
    comparison((a, b) => a > b),
    exact,
    true,
  ),
  GreaterOrEqual: row(
    comparison((a, b) => a >= b),
    exact,
    true,
  ),
  And: row(
    comparison((a, b) => Boolean(a && b)),
    exact,
    true,
  ),
  Or: row(
    comparison((a, b) => Boolean(a || b)),
    exact,
    true,
  ),
  Xor: row(
    comparison((a, b) => Boolean(a) !== Boolean(b)),
    exact,
    true,
  ),
  Not: row(
    each.test((x) => x === 0),
    exact,
    true,
  ),
  IsNaN: row(each.test(Number.isNaN), exact, true),
  IsInf: row(
    each.test((x) => x === Infinity || x === -Infinity),
    exact,
    true,
  ),
};

/** @type {ReadonlyMap<string, Operator>} */
export const OPERATORS = new Map(Object.entries(TABLE));

/** Operators with weights: without rounding, what they lose is at least twice their result (`losses.js`). */
export const WEIGHTED = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);
