// Decoded pixels, read and written as PPM.
#ifndef LAYERPROBE_IMAGE_HPP
#define LAYERPROBE_IMAGE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "files.hpp"

namespace layerprobe {

/// Decoded pixels, H W C, 8 bits: C is 3 (RGB) or 1 (grey). Upright, without transparency, as artifacts/README.md says.
struct Image {
  std::int64_t height = 0, width = 0, channels = 3;
  std::vector<std::uint8_t> pixels;

  /// Where a pixel begins.
  std::uint8_t* at(std::int64_t y, std::int64_t x) { return &pixels[place(y, x)]; }
  const std::uint8_t* at(std::int64_t y, std::int64_t x) const { return &pixels[place(y, x)]; }

 private:
  std::size_t place(std::int64_t y, std::int64_t x) const {
    return static_cast<std::size_t>((y * width + x) * channels);
  }
};

namespace detail {

constexpr std::int64_t most_pixels = 89'478'485;  // Pillow's limit, beyond which layerprobe refuses a photo, too

inline Image blank(std::int64_t height, std::int64_t width, std::int64_t channels) {
  if (height < 1 || width < 1 || height > most_pixels / width)
    throw Error("A picture of " + std::to_string(width) + " x " + std::to_string(height) +
                " pixels is empty or has over " + std::to_string(most_pixels) + ".");
  return {height, width, channels, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width * channels))};
}

/// Pillow's conversion of RGB to L: ITU-R 601-2 luma in units of 2^-16. A grey image as RGB has its level three times.
inline Image with_channels(const Image& image, std::int64_t channels) {
  if (image.channels != 1 && image.channels != 3) throw Error("A photo needs 1 or 3 channels.");
  if (image.height < 1 || image.width < 1 || image.height > most_pixels / image.width ||
      image.pixels.size() != static_cast<std::size_t>(image.height * image.width * image.channels))
    throw Error("A photo's pixels are not H x W x C bytes.");
  if (image.channels == channels) return image;
  Image other = blank(image.height, image.width, channels);
  for (std::size_t at = 0; at < static_cast<std::size_t>(image.height * image.width); ++at) {
    const std::uint8_t* from = &image.pixels[at * static_cast<std::size_t>(image.channels)];
    if (channels == 1)
      other.pixels[at] = static_cast<std::uint8_t>((from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16);
    else
      std::fill_n(&other.pixels[3 * at], 3, *from);
  }
  return other;
}

}  // namespace detail

/// Reads a binary PPM of 8 bits (P6, 255), RGB. Most programs for pictures write it: `convert photo.jpg photo.ppm`.
inline Image read_ppm(const fs::path& path) {
  std::ifstream stream = detail::open_regular(path, 3 * detail::most_pixels + 65536);
  const std::string what = shown(path);
  const auto number = [&](std::int64_t most) {
    int next = stream.get();
    while (next == '#' || next == ' ' || (next >= '\t' && next <= '\r')) {
      if (next == '#')
        while (next != '\n' && next != EOF) next = stream.get();
      next = stream.get();
    }
    std::int64_t value = next >= '0' && next <= '9' ? 0 : -1;
    for (; next >= '0' && next <= '9' && value <= most; next = stream.get()) value = 10 * value + (next - '0');
    if (value < 1 || value > most) throw Error(what + " is no binary PPM of 8 bits, or its size is out of range.");
    return value;
  };
  if (stream.get() != 'P' || stream.get() != '6') throw Error(what + " is no binary PPM: it doesn't start with P6.");
  const std::int64_t width = number(detail::most_pixels), height = number(detail::most_pixels);
  if (number(65535) != 255) throw Error(what + " has not 8 bits for each colour. Write it with a maximum of 255.");
  const auto left = static_cast<std::int64_t>(fs::file_size(path)) - static_cast<std::int64_t>(stream.tellg());
  if (height > detail::most_pixels / width || left < 3 * height * width)
    throw Error(what + " is truncated or has too many pixels.");
  Image image = detail::blank(height, width, 3);
  if (!stream.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size())))
    throw Error(what + " is truncated.");
  return image;
}

/// Writes a picture, RGB, as a binary PPM, whole or not at all.
inline void write_ppm(const fs::path& path, const Image& image) {
  const Image colours = detail::with_channels(image, 3);
  detail::write_whole(path, [&](std::ofstream& stream) {
    stream << "P6\n# layerprobe\n"
           << std::to_string(colours.width) << " " << std::to_string(colours.height) << "\n255\n";
    stream.write(reinterpret_cast<const char*>(colours.pixels.data()),
                 static_cast<std::streamsize>(colours.pixels.size()));
  });
}

}  // namespace layerprobe

#endif
