// Where tests/runtime/javascript/ put what Python writes and expects; without it the tests that compare are skipped.

export const fromPython = process.env.LAYERPROBE_TEST_DATA ?? "";
export const skip = fromPython
  ? false
  : "what Python expects isn't here: pytest tests/runtime/javascript runs this test";
