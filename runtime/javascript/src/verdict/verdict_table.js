// Made by `make javascript-tables` from Python's own tables. Don't edit it.

/** @typedef {"pass" | "inherited" | "unproven" | "drift" | "nonfinite" | "missing" | "shape" | "range" | "placement"} Verdict */

/** @type {Readonly<Record<Verdict, { fails: boolean, sign: string, tone: string, words: string }>>} */
export const VERDICTS = Object.freeze({
  "pass": {
    "fails": false,
    "sign": "✓",
    "tone": "good",
    "words": "passes"
  },
  "inherited": {
    "fails": false,
    "sign": "↳",
    "tone": "warning",
    "words": "inherits its error"
  },
  "unproven": {
    "fails": false,
    "sign": "?",
    "tone": "warning",
    "words": "can't be proven: float32 is far from float64, or infinite"
  },
  "drift": {
    "fails": true,
    "sign": "✕",
    "tone": "bad",
    "words": "drifts"
  },
  "nonfinite": {
    "fails": true,
    "sign": "✕",
    "tone": "bad",
    "words": "is NaN or infinite"
  },
  "missing": {
    "fails": true,
    "sign": "✕",
    "tone": "bad",
    "words": "is missing"
  },
  "shape": {
    "fails": true,
    "sign": "✕",
    "tone": "bad",
    "words": "has a different shape or type"
  },
  "range": {
    "fails": true,
    "sign": "✕",
    "tone": "bad",
    "words": "is quantized in steps that do not fit its values"
  },
  "placement": {
    "fails": true,
    "sign": "⚠",
    "tone": "warning",
    "words": "ran elsewhere than requested"
  }
});

export const PASSING_DRIFT = 16.0;
export const PASSING_ERROR = 16.0;
export const FILE_PASSING_DRIFT = 4.0;
export const FILE_RUNNER = "onnx-float64";
export const UNPROVEN_NOISE = 0.01;
