// From a tensor to one map: its mean over the channels.
#ifndef LAYERPROBE_MAPS_HPP
#define LAYERPROBE_MAPS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "manifest.hpp"
#include "tensor.hpp"

namespace layerprobe {

/// One value for each pixel, H W.
struct Map {
  std::int64_t height = 0, width = 0;
  std::vector<double> values;
};

/// Whether an output has a height and a width: as axes, or as the known grid of its tokens.
inline bool has_map(const Output& output) {
  return output.layout == "NCHW" || output.layout == "NHWC" || (output.layout == "NLC" && output.tokens);
}

/// The mean over the channels of the batch's first image, in float64. Class and register tokens are left out.
inline Map channel_mean(const Tensor& tensor, const Output& output) {
  const auto& shape = tensor.shape;
  if (!has_map(output) || shape.size() != output.layout.size() || tensor.size() == 0)
    throw Error("'" + output.name + "' has no height and width, or its tensor has other axes.");
  const bool first = output.layout == "NCHW", tokens = output.layout == "NLC";
  const TokenGrid grid =
      tokens ? *output.tokens : TokenGrid{0, first ? shape[2] : shape[1], first ? shape[3] : shape[2], 0};
  if (tokens &&
      (grid.height > shape[1] / grid.width || grid.before + grid.height * grid.width + grid.after != shape[1]))
    throw Error("'" + output.name + "' has another number of tokens than the manifest says.");
  const std::int64_t channels = first ? shape[1] : shape.back(), pixels = grid.height * grid.width;
  Map map{grid.height, grid.width, std::vector<double>(static_cast<std::size_t>(pixels))};
  const detail::Dtype& type = detail::dtype_named(tensor.dtype);
  for (std::int64_t channel = 0; channel < channels; ++channel)
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      const std::int64_t at = first ? channel * pixels + pixel : (grid.before + pixel) * channels + channel;
      map.values[static_cast<std::size_t>(pixel)] += type.read(tensor.data.data() + at * type.bytes);
    }
  for (double& value : map.values) value /= static_cast<double>(channels);
  return map;
}

/// The lowest and the highest finite value; none where no value is finite.
inline std::optional<std::pair<double, double>> range_of(const Map& map) {
  std::optional<std::pair<double, double>> range;
  for (const double value : map.values) {
    if (!std::isfinite(value)) continue;
    if (!range) range = {value, value};
    range = {std::min(range->first, value), std::max(range->second, value)};
  }
  return range;
}

}  // namespace layerprobe

#endif
