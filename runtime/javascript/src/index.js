// The package's table of contents. A folder on a disk, which only Node has, is in "layerprobe/node_folder"; judging what a
// runtime computed, which drawing needs nothing of, in "layerprobe/verdict".
//
// The page that `layerprobe page` writes is on top of it, in ../page/; page/page.js lists its files and offers WebGPU,
// page/site_model.js opens the model on the backend that was chosen: none stands in for one that fails.
//
// photo or pixels -> preprocess -> Tensor -> openRunner(artifact).run -> Map of name to Tensor -> recordedRun -> file

export * from "./errors.js";
export { DTYPES, batch, castFloat32, numbers, shapeWords, sizeOf, tensor } from "./tensor.js";
export { atUrl, ofFiles } from "./places.js";
export { Artifact, openArtifact } from "./artifact.js";
export { toGrey, toRgb } from "./photo.js";
export { readOrientation } from "./orientation.js";
export { resize } from "./resize.js";
export { imageInput, preprocess } from "./preprocessing.js";
export { TEST_PHOTO, checkPreprocessing } from "./test_vectors.js";
export { OnnxRunner, checkInputs, openRunner } from "./session.js";
export { readSafetensors, safetensorsHeader, writeSafetensors } from "./safetensors.js";
export { SAMPLE_LIMIT, sample, samplePlaces } from "./sample.js";
export { recordedInputs, recordedRun } from "./recorded_run.js";

/** @typedef {import("./tensor.js").Tensor} Tensor */
/** @typedef {import("./tensor.js").Tensors} Tensors */
/** @typedef {import("./places.js").Place} Place */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./manifest.js").Input} Input */
/** @typedef {import("./manifest.js").Output} Output */
/** @typedef {import("./manifest.js").Preprocessing} Preprocessing */
/** @typedef {import("./photo.js").Pixels} Pixels */
/** @typedef {import("./photo.js").Picture} Picture */
/** @typedef {import("./preprocessing.js").Preprocessed} Preprocessed */
/** @typedef {import("./recorded_run.js").RecordedInput} RecordedInput */
