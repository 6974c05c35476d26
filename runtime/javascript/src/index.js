// The package's table of contents. A folder on a disk, which only Node has, is in "layerprobe/node_folder".

export { ArtifactError, ExecutionError, ImageError, InputError, LayerprobeError, RunnerUnavailable, UsageError } from "./errors.js";
export { DTYPES, castFloat32, numbers, shapeWords, sizeOf, tensor } from "./tensor.js";

/** @typedef {import("./tensor.js").Tensor} Tensor */
/** @typedef {import("./tensor.js").Tensors} Tensors */
