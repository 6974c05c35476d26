// A tensor of any type and shape.
#ifndef LAYERPROBE_TENSOR_HPP
#define LAYERPROBE_TENSOR_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text.hpp"

#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "layerprobe reads little-endian files without swapping");
#endif

namespace layerprobe {

namespace detail {

template <class T>
double read_as(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

inline double read_bfloat16(const std::uint8_t* bytes) {
  const std::array<std::uint8_t, 4> wide{0, 0, bytes[0], bytes[1]};
  return read_as<float>(wide.data());
}

inline double read_float16(const std::uint8_t* bytes) {
  const int bits = bytes[0] | bytes[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction ? std::numeric_limits<double>::quiet_NaN() : INFINITY)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}

/// A type of numbers: by safetensors' name and NumPy's, its bytes, and how one element is read.
struct Dtype {
  const char *name, *numpy;
  std::int64_t bytes;
  double (*read)(const std::uint8_t*);
};

inline const Dtype& dtype_named(std::string_view name) {
  static const std::array<Dtype, 13> table{{{"F32", "float32", 4, read_as<float>},
                                            {"F64", "float64", 8, read_as<double>},
                                            {"F16", "float16", 2, read_float16},
                                            {"BF16", "bfloat16", 2, read_bfloat16},
                                            {"BOOL", "bool", 1, read_as<std::uint8_t>},
                                            {"U8", "uint8", 1, read_as<std::uint8_t>},
                                            {"U16", "uint16", 2, read_as<std::uint16_t>},
                                            {"U32", "uint32", 4, read_as<std::uint32_t>},
                                            {"U64", "uint64", 8, read_as<std::uint64_t>},
                                            {"I8", "int8", 1, read_as<std::int8_t>},
                                            {"I16", "int16", 2, read_as<std::int16_t>},
                                            {"I32", "int32", 4, read_as<std::int32_t>},
                                            {"I64", "int64", 8, read_as<std::int64_t>}}};
  for (const Dtype& each : table)
    if (name == each.name || name == each.numpy) return each;
  throw Error("The type " + plain(name) + " is unknown. Write it as F32.");
}

/// The number of elements, or an Error where it is over 2^40.
inline std::int64_t elements_of(const std::vector<std::int64_t>& shape) {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) throw Error("A tensor's axis is negative.");
    // Divided, because the product may be larger than any integer.
    if (size != 0 && count > most / size) throw Error("A tensor has more than 2^40 elements.");
    count *= size;
  }
  return count;
}

}  // namespace detail

/// An array of any type and shape, row by row (the last axis fastest), little-endian.
struct Tensor {
  std::string dtype;  ///< safetensors' name: F32, F16, BF16, I64, U8, BOOL, ...
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> data;

  std::int64_t size() const { return detail::elements_of(shape); }

  /// An element by its place in the flat tensor, as a number.
  double at(std::int64_t index) const {
    const detail::Dtype& type = detail::dtype_named(dtype);
    return type.read(data.data() + index * type.bytes);
  }
};

namespace detail {

/// The nearest float16, a half to the even one, as IEEE 754 rounds.
inline std::uint16_t to_float16(float value) {
  if (std::isnan(value)) return 0x7E00;
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(static_cast<double>(value));
  if (size >= 65520.0) return static_cast<std::uint16_t>(sign | 0x7C00);
  int exponent = size > 0 ? std::max(std::ilogb(size), -14) : -14;
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(size, 10 - exponent)));  // 1024 is the exponent's power
  // What rounds up to the next power carries into the exponent's bits, which stand right above.
  return static_cast<std::uint16_t>(sign | (((exponent + 14) << 10) + units));
}

}  // namespace detail

using Tensors = std::map<std::string, Tensor>;  ///< by name
using Metadata = std::map<std::string, std::string>;

/// A tensor from elements that lie one after another, which are copied; an Error where the type is unknown.
inline Tensor make_tensor(const std::string& dtype, std::vector<std::int64_t> shape, const void* elements) {
  const detail::Dtype& type = detail::dtype_named(dtype);
  Tensor made{type.name, std::move(shape), {}};
  made.data.resize(static_cast<std::size_t>(made.size() * type.bytes));
  if (!made.data.empty()) std::memcpy(made.data.data(), elements, made.data.size());
  return made;
}

/// Numbers as a tensor of float32, float16 or uint8 (which takes whole ones from 0 to 255).
inline Tensor from_floats(const std::string& dtype, std::vector<std::int64_t> shape, const std::vector<float>& values) {
  const std::string name = detail::dtype_named(dtype).name;
  if (name == "F32") return make_tensor(name, std::move(shape), values.data());
  if (name == "F16") {
    std::vector<std::uint16_t> halves(values.size());
    std::transform(values.begin(), values.end(), halves.begin(), detail::to_float16);
    return make_tensor(name, std::move(shape), halves.data());
  }
  if (name != "U8") throw Error("A photo can't become an input of type " + name + ": F32, F16 or U8 it can.");
  std::vector<std::uint8_t> levels(values.size());
  std::transform(values.begin(), values.end(), levels.begin(),
                 [](float value) { return static_cast<std::uint8_t>(value); });
  return make_tensor(name, std::move(shape), levels.data());
}

}  // namespace layerprobe

#endif
