// From a photo to the model's input: torchvision's Resize, CenterCrop, ToTensor and Normalize, to the bit.
#ifndef LAYERPROBE_PREPROCESSING_HPP
#define LAYERPROBE_PREPROCESSING_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "artifact.hpp"
#include "resampling.hpp"

namespace layerprobe {

namespace detail {

/// Where the crop lies on one axis: the part of the resized axis that it shows, and where that stands in the crop.
struct Stretch {
  std::int64_t start, count, at;
};

inline Stretch crop_of(std::int64_t size, std::int64_t crop) {
  const std::int64_t more = size - crop;
  if (more < 0) return {0, size, -more / 2};  // padding, whose odd pixel torchvision puts at the end
  const std::int64_t half = more / 2;
  return {more % 2 == 1 && half % 2 == 1 ? half + 1 : half, crop, 0};  // Python's round: a half goes to the even number
}

/// Width and height of the whole resized photo.
inline std::pair<std::int64_t, std::int64_t> resized_size(const Image& image, std::int64_t resize) {
  const std::int64_t shorter = std::min(image.width, image.height), longer = std::max(image.width, image.height);
  // torchvision truncates here; rounding would give another size for every second photo.
  const auto other = static_cast<std::int64_t>(static_cast<double>(resize * longer) / static_cast<double>(shorter));
  if (other > most_pixels / resize)
    throw Error("A photo of " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                " pixels, resized so that its shorter side is " + std::to_string(resize) + ", would have over " +
                std::to_string(most_pixels) + " pixels.\nCrop it closer to a square.");
  return image.width <= image.height ? std::pair{resize, other} : std::pair{other, resize};
}

}  // namespace detail

/// The resized and cropped photo, H W C, before normalisation: equal to Pillow's and torchvision's to the bit. Only
/// what the crop shows is computed. Where the resized photo is smaller than the crop, black surrounds it.
inline Image cropped(const Image& photo, const Preprocessing& steps) {
  const Image image = detail::with_channels(photo, steps.channels);
  const auto [width, height] = detail::resized_size(image, steps.resize);
  // Pillow 13 takes the direction first that makes a very tall photo smaller sooner; the versions before don't.
  const bool down_first = image.height - height > std::max<std::int64_t>(0, 2 * (image.width - width));
  const detail::Stretch across = detail::crop_of(width, steps.width), down = detail::crop_of(height, steps.height);
  Image crop = detail::blank(steps.height, steps.width, image.channels);
  const Image part = detail::resampled(
      image, detail::weights_of(image.width, width, across.start, across.count, steps.interpolation),
      detail::weights_of(image.height, height, down.start, down.count, steps.interpolation), down_first);
  for (std::int64_t y = 0; y < part.height; ++y)
    std::copy_n(part.at(y, 0), part.width * part.channels, crop.at(down.at + y, across.at));
  return crop;
}

/// The model's input, 1 C H W (or 1 H W C): the cropped photo, divided by 255, less the mean, divided by the standard
/// deviation, each step in float32; the pixels themselves where the model normalises. A batch is such tensors one
/// after another.
/// @param dtype  the input's in the manifest: float32, float16, or uint8 where the model normalises
inline Tensor preprocess(const Image& photo, const Preprocessing& steps, const std::string& dtype = "float32") {
  const Image crop = cropped(photo, steps);
  const auto channels = static_cast<std::size_t>(crop.channels), pixels = crop.pixels.size() / channels;
  const bool channels_first = steps.layout == "NCHW";
  std::vector<float> values(crop.pixels.size());
  for (std::size_t pixel = 0; pixel < pixels; ++pixel)
    for (std::size_t channel = 0; channel < channels; ++channel) {
      const auto level = static_cast<float>(crop.pixels[pixel * channels + channel]);
      values[channels_first ? channel * pixels + pixel : pixel * channels + channel] =
          steps.mean.empty() ? level : (level / 255.0F - steps.mean[channel]) / steps.std[channel];
    }
  if (channels_first) return from_floats(dtype, {1, crop.channels, crop.height, crop.width}, values);
  return from_floats(dtype, {1, crop.height, crop.width, crop.channels}, values);
}

/// Preprocesses the test photo inside an artifact and compares with what it must become, to the bit. Call it once where
/// your program starts: a compiler, its options or a change of yours that computes otherwise is an Error here.
/// @return whether there is such a photo; an artifact of a model that takes no photo has none
inline bool check_preprocessing(const Artifact& artifact) {
  const Manifest& manifest = artifact.manifest();
  if (!manifest.preprocessing || manifest.inputs.size() != 1 || !artifact.has("test_vectors.safetensors")) return false;
  const TensorFile vectors(artifact.file("test_vectors.safetensors"));
  const Tensor pixels = vectors.read("pixels");
  if (pixels.dtype != "U8" || pixels.shape.size() != 3)
    throw Error("test_vectors.safetensors: pixels are not uint8 H W C.");
  const Image photo{pixels.shape[0], pixels.shape[1], pixels.shape[2], pixels.data};
  if (cropped(photo, *manifest.preprocessing).pixels != vectors.read("cropped").data)
    throw Error("The cropped test photo is not what the artifact says that it must be.");
  const Input& input = manifest.inputs[0];
  if (preprocess(photo, *manifest.preprocessing, input.dtype).data != vectors.read("input:" + input.name).data)
    throw Error("The normalised test photo is not what the artifact says that it must be.");
  return true;
}

}  // namespace layerprobe

#endif
