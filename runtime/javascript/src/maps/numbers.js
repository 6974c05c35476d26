// Numbers as Python writes them with `format(value, ".3g")`, to the last digit, so that both say the same of a map.

/** The largest that `toExponential` takes. Ties of fewer digits, the only ones, are exact in so many. */
const ALL_DIGITS = 100;

/**
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
  if (exponent < -4 || exponent >= digits) {
    const power = `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    return `${sign}${trimmed[0]}${trimmed.length > 1 ? `.${trimmed.slice(1)}` : ""}e${power}`;
  }
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

/**
 * With the sign that is as wide as a plus.
 * @param {string} text
 */
export const withMinus = (text) => text.replaceAll("-", "−");
