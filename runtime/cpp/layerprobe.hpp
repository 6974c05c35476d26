// layerprobe for C++17: an artifact's tensors, its preprocessing and its maps, with the standard library alone.
//
// Nothing here runs a model: a runtime of yours does, and examples/ shows it with ONNX Runtime and with libtorch. The
// folder that is read is described in artifacts/README.md. In the order in which data flows, a file each; every file
// includes only those above it:
//
//   text, json, json_field, files, sha256   what is read of strangers: bounded, checked, made plain
//   tensor                   Tensor; the number types, and how each is read
//   tensor_file              TensorFile and write_tensors: safetensors
//   manifest, artifact       Artifact: what manifest.json says, files checked by their hash, recorded inputs
//   image                    Image, read_ppm, write_ppm
//   resampling, preprocessing   cropped, preprocess: equal to Pillow and torchvision to the bit; check_preprocessing
//   maps, colours, grid      channel_mean, coloured, tiles_of, grid
//
// Every file is data of a stranger: sizes are compared with the file before anything is allocated, what contradicts
// itself is an Error that says what is wrong, and nothing in it is executed. A TorchScript file is a program, which
// this header doesn't run. Shapes are in letters: N C H W.
#ifndef LAYERPROBE_HPP
#define LAYERPROBE_HPP

#include "layerprobe/artifact.hpp"
#include "layerprobe/colours.hpp"
#include "layerprobe/grid.hpp"
#include "layerprobe/image.hpp"
#include "layerprobe/maps.hpp"
#include "layerprobe/preprocessing.hpp"
#include "layerprobe/tensor_file.hpp"

#endif
