// Numbers in words as Python prints them, so that a report says the same in both languages.

/** Python's `format(value, ".Ng")`. @param {number} value @param {number} digits @returns {string} */
export function general(value, digits) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e"),
    exponent = Number(power);
  if (exponent < -4 || exponent >= digits)
    return `${withoutZeros(mantissa)}e${exponent < 0 ? "-" : "+"}${twoDigits(Math.abs(exponent))}`;
  return withoutZeros(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

/** @param {string} text @returns {string} */
const withoutZeros = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
/** @param {number} exponent @returns {string} */
const twoDigits = (exponent) => String(exponent).padStart(2, "0");

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
    if (size !== 0 && (size < 1e-4 || size >= 1e16))
      return `${mantissa}e${exponent < 0 ? "-" : "+"}${twoDigits(Math.abs(exponent))}`;
    return size === 0 ? (Object.is(narrow, -0) ? "-0" : "0") : Number(text).toFixed(Math.max(0, digits - 1 - exponent));
  }
  return String(narrow);
}
