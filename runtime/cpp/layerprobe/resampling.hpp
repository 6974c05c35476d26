// Pillow's resizing of 8-bit pictures, to the bit: weights are whole numbers, and each direction rounds.
#ifndef LAYERPROBE_RESAMPLING_HPP
#define LAYERPROBE_RESAMPLING_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image.hpp"

namespace layerprobe {

namespace detail {

/// Pillow's filters (libImaging/Resample.c): how far each reaches, and its weight at a distance.
struct Filter {
  double support;
  double (*weight)(double);
};

inline double sinc(double x) {
  constexpr double pi = 3.14159265358979323846;
  return x == 0.0 ? 1.0 : std::sin(x * pi) / (x * pi);
}

inline Filter filter_named(const std::string& name) {
  if (name == "box") return {0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }};
  if (name == "bilinear") return {1.0, [](double x) { return std::fabs(x) < 1.0 ? 1.0 - std::fabs(x) : 0.0; }};
  if (name == "hamming")
    return {1.0, [](double x) {
              constexpr double pi = 3.14159265358979323846;
              x = std::fabs(x);
              return x >= 1.0 ? 0.0
                              : sinc(x) * (static_cast<double>(0.54F) + static_cast<double>(0.46F) * std::cos(x * pi));
            }};
  if (name == "bicubic")
    return {2.0, [](double x) {
              constexpr double a = -0.5;
              x = std::fabs(x);
              if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
              return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
            }};
  return {3.0, [](double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }};  // lanczos
}

/// For each pixel of a stretch of one resized axis: the first pixel that it is made of, and the weights from there on,
/// in units of 2^-22.
struct AxisWeights {
  std::vector<std::int64_t> first;
  std::vector<std::vector<std::int32_t>> weights;

  std::int64_t begin() const { return first.front(); }
  std::int64_t end() const { return first.back() + static_cast<std::int64_t>(weights.back().size()); }
};

constexpr int precision_bits = 32 - 8 - 2;

inline std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << precision_bits);
  return static_cast<std::int32_t>(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

/// The pixel of nearest-neighbour interpolation; its place is added up as Pillow does, rounding and all.
inline AxisWeights nearest_pixels(std::int64_t in, std::int64_t out, std::int64_t start, std::int64_t count) {
  AxisWeights axis;
  const double step = static_cast<double>(in) / static_cast<double>(out);
  double place = step * 0.5;
  for (std::int64_t at = 0; at < start + count; ++at, place += step) {
    if (at < start) continue;
    axis.first.push_back(std::min(static_cast<std::int64_t>(place), in - 1));
    axis.weights.push_back({1 << precision_bits});
  }
  return axis;
}

/// @param in, out  pixels of the axis, before and after
/// @param start, count  the stretch of the resized axis that is wanted
inline AxisWeights weights_of(std::int64_t in, std::int64_t out, std::int64_t start, std::int64_t count,
                              const std::string& name) {
  if (name == "nearest") return nearest_pixels(in, out, start, count);
  const Filter filter = filter_named(name);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0), support = filter.support * stretch, inverse = 1.0 / stretch;
  AxisWeights axis;
  std::vector<double> exact;
  for (std::int64_t at = start; at < start + count; ++at) {
    const double centre = (static_cast<double>(at) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(centre - support + 0.5), 0);
    const auto end = std::min(static_cast<std::int64_t>(centre + support + 0.5), in);
    exact.clear();
    double sum = 0.0;
    for (std::int64_t pixel = 0; pixel < end - first; ++pixel) {
      exact.push_back(filter.weight((static_cast<double>(pixel + first) - centre + 0.5) * inverse));
      sum += exact.back();
    }
    axis.first.push_back(first);
    auto& fixed = axis.weights.emplace_back();
    for (const double weight : exact) fixed.push_back(to_fixed(sum != 0.0 ? weight / sum : weight));
  }
  return axis;
}

/// A weighted sum of pixels that lie `step` bytes apart, rounded to 8 bits.
inline std::uint8_t weighted(const std::uint8_t* pixel, std::int64_t step, const std::vector<std::int32_t>& weights) {
  std::int32_t sum = 1 << (precision_bits - 1);
  for (const std::int32_t weight : weights) {
    sum += *pixel * weight;
    pixel += step;
  }
  return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255));
}

/// A picture of which each row is resized.
inline Image resized_across(const Image& image, const AxisWeights& axis) {
  Image made = blank(image.height, static_cast<std::int64_t>(axis.first.size()), image.channels);
  std::uint8_t* into = made.pixels.data();
  for (std::int64_t y = 0; y < made.height; ++y)
    for (std::size_t x = 0; x < axis.first.size(); ++x)
      for (std::int64_t channel = 0; channel < image.channels; ++channel)
        *into++ = weighted(image.at(y, axis.first[x]) + channel, image.channels, axis.weights[x]);
  return made;
}

/// A picture of which each column is resized.
inline Image resized_down(const Image& image, const AxisWeights& axis) {
  const std::int64_t row = image.width * image.channels;
  Image made = blank(static_cast<std::int64_t>(axis.first.size()), image.width, image.channels);
  std::uint8_t* into = made.pixels.data();
  for (std::size_t y = 0; y < axis.first.size(); ++y)
    for (std::int64_t x = 0; x < row; ++x) *into++ = weighted(image.at(axis.first[y], 0) + x, row, axis.weights[y]);
  return made;
}

/// The part of a picture that two axes are made of, so that no pass computes what the other doesn't need.
inline Image part_for(const Image& image, const AxisWeights& across, const AxisWeights& down) {
  Image part = blank(down.end() - down.begin(), across.end() - across.begin(), image.channels);
  for (std::int64_t y = 0; y < part.height; ++y)
    std::copy_n(image.at(down.begin() + y, across.begin()), part.width * part.channels, part.at(y, 0));
  return part;
}

inline AxisWeights from_zero(AxisWeights axis) {
  const std::int64_t begin = axis.begin();
  for (std::int64_t& first : axis.first) first -= begin;
  return axis;
}

/// The stretch of the resized picture that two axes are given for. Each pass rounds to 8 bits, so their order shows.
inline Image resampled(const Image& image, const AxisWeights& across, const AxisWeights& down, bool down_first) {
  const Image part = part_for(image, across, down);
  const AxisWeights x = from_zero(across), y = from_zero(down);
  return down_first ? resized_across(resized_down(part, y), x) : resized_down(resized_across(part, x), y);
}

}  // namespace detail

}  // namespace layerprobe

#endif
