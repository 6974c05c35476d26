// Numbers in words as Python writes them, to the last digit, so that both languages say the same.

import { roundHalfEven } from "./tensor.js";

/** The largest that `toExponential` takes. Ties of fewer digits, the only ones, are exact in so many. */
const ALL_DIGITS = 100;

/**
 * Python's `format(value, ".Ng")`.
 *
 * @param {number} value
 * @param {number} digits significant, at least 1
 * @returns {string} with an ASCII minus
 */
export function general(value, digits) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const sign = value < 0 ? "-" : "";
  const { mantissa, exponent } = rounded(Math.abs(value), digits);
  const trimmed = mantissa.replace(/0+$/, "") || "0";
  if (exponent < -4 || exponent >= digits)
    return `${sign}${trimmed[0]}${trimmed.length > 1 ? `.${trimmed.slice(1)}` : ""}e${powerOf(exponent)}`;
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${trimmed}`;
  const whole = mantissa.slice(0, exponent + 1);
  const rest = mantissa.slice(exponent + 1).replace(/0+$/, "");
  return `${sign}${whole}${rest ? `.${rest}` : ""}`;
}

/**
 * JavaScript rounds a tie up, Python to the even digit.
 * @param {number} value above 0
 * @param {number} digits
 * @returns {{ mantissa: string, exponent: number }} as many digits, without a point
 */
function rounded(value, digits) {
  const [text, power] = value.toExponential(digits - 1).split("e");
  const found = { mantissa: text.replace(".", ""), exponent: Number(power) };
  const exact = value.toExponential(ALL_DIGITS).split("e")[0].replace(".", "");
  const isTie = /^50*$/.test(exact.slice(digits));
  return isTie && Number(exact[digits - 1]) % 2 === 0
    ? { mantissa: exact.slice(0, digits), exponent: exponentOf(value) }
    : found;
}

/** @param {number} value */
function exponentOf(value) {
  return Number(value.toExponential(ALL_DIGITS).split("e")[1]);
}

/** @param {number} exponent @returns {string} with its sign, and two digits at least */
const powerOf = (exponent) => `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;

/**
 * NumPy's text of a float32: as short as float32 allows, `1e-05`, `0.5`, `3`.
 *
 * @param {number} value
 * @returns {string}
 */
export function shortFloat32(value) {
  const narrow = Math.fround(value);
  if (!Number.isFinite(narrow)) return general(narrow, 1);
  for (let digits = 1; digits <= 9; digits++) {
    const text = narrow.toExponential(digits - 1);
    if (Math.fround(Number(text)) !== narrow) continue;
    const size = Math.abs(narrow),
      [mantissa, power] = text.split("e"),
      exponent = Number(power);
    if (size !== 0 && (size < 1e-4 || size >= 1e16)) return `${mantissa}e${powerOf(exponent)}`;
    return size === 0 ? (Object.is(narrow, -0) ? "-0" : "0") : Number(text).toFixed(Math.max(0, digits - 1 - exponent));
  }
  return String(narrow);
}

/**
 * With the sign that is as wide as a plus.
 * @param {string} text
 */
export const withMinus = (text) => text.replaceAll("-", "−");

/**
 * A number as it is set in print: `−3.69·10⁻⁷` for `-3.69e-7`.
 * @param {string} text
 */
export function withPower(text) {
  const [digits, power] = text.split("e");
  if (!power) return withMinus(text);
  const raised = String(Number(power)).replace(/[-\d]/g, (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);
  return `${withMinus(digits)}·10${raised}`;
}

/**
 * Python's `format(share, ".0%")`, with a space before the sign.
 * @param {number} share
 */
export const percent = (share) => `${roundHalfEven(share * 100)} %`;

/**
 * Python's `format(value, ".Nf")`: a tie is rounded to the even digit.
 * @param {number} value
 * @param {number} decimals
 */
function fixed(value, decimals) {
  const exact = Math.abs(value).toFixed(ALL_DIGITS);
  const end = exact.indexOf(".") + decimals + 1;
  const isTie = /^50*$/.test(exact.slice(end));
  const before = exact.slice(0, decimals ? end : end - 1);
  if (!isTie || Number(before[before.length - 1]) % 2) return value.toFixed(decimals);
  return `${value < 0 ? "-" : ""}${before}`;
}

/** The powers of ten of numbers that are written without one. */
const PLAIN = { from: -3, to: 4 };
/** The least power of ten by which a number can be divided. */
const LEAST_POWER = -307;

/**
 * Two numbers with as many decimals as tell them apart, of one power of ten: `-0.0200` and `0.0249`, `0.80e-4` and
 * `2.44e-4`.
 * @param {number} low
 * @param {number} high
 * @returns {[string, string]}
 */
export function inOneForm(low, high) {
  const power = Math.max(Number(Math.max(Math.abs(low), Math.abs(high)).toExponential(2).split("e")[1]), LEAST_POWER);
  const isPlain = power >= PLAIN.from && power <= PLAIN.to;
  const [unit, suffix] = isPlain ? [1, ""] : [Number(`1e${power}`), `e${power}`];
  const text = (/** @type {number} */ end, /** @type {number} */ decimals) =>
    end ? fixed(end / unit, decimals).replace(/^-(?=[0.]*$)/, "") + suffix : "0";
  let decimals = isPlain ? Math.max(2 - power, 0) : 2;
  while (text(low, decimals) === text(high, decimals) && decimals < 17 - Math.min(power, 0)) decimals++;
  return [text(low, decimals), text(high, decimals)];
}
