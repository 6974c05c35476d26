// Maps side by side on one page, each under its name.
#ifndef LAYERPROBE_GRID_HPP
#define LAYERPROBE_GRID_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "colours.hpp"

namespace layerprobe {

namespace detail {

/// A letter of three by five pixels: five rows, each an octal digit whose bits are its pixels.
inline std::string_view glyph(char letter) {
  static constexpr std::string_view glyphs =
      "075557126227271747371717455711574717674757771122875757975717"
      "A25755B65656C34443D65556E74647F74644G34553H55755I72227J11152K55655L44447M57755N65555O25552P65644Q25563R65655"
      "S34216T72222U55557V55552W55775X55255Y55222Z71247"
      "a06357b44656c03443d11353e02743f12722g03536h44655i20222j10116k44565l62227m07755n06555o02552p06564q03531r03444"
      "s03636t27221u05557v05552w05577x05225y05536z07147"
      ".00002_00007-00700:02020/11244(12221)42224,00024[64446]31113+02720*05250=07070";
  for (std::size_t at = 0; at < glyphs.size(); at += 6)
    if (glyphs[at] == letter) return glyphs.substr(at + 1, 5);
  return letter == ' ' ? "00000" : "71202";  // a question mark
}

constexpr std::int64_t text_scale = 2, letter_width = 4 * text_scale, tile_side = 160, caption = 16, margin = 6;

/// Writes one line of black letters; of a text that is too long, its end.
inline void write_text(Image& onto, std::int64_t left, std::int64_t top, std::string text) {
  const auto fits = static_cast<std::size_t>(tile_side / letter_width);
  if (text.size() > fits) text = ".." + text.substr(text.size() - fits + 2);
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rows = glyph(text[at]);
    for (std::int64_t y = 0; y < 5 * text_scale; ++y)
      for (std::int64_t x = 0; x < 3 * text_scale; ++x)
        if ((rows[static_cast<std::size_t>(y / text_scale)] - '0') >> (2 - x / text_scale) & 1)
          std::fill_n(onto.at(top + y, left + static_cast<std::int64_t>(at) * letter_width + x), 3, std::uint8_t{0});
  }
}

/// Puts a picture into the square of a tile, enlarged or reduced to nearest pixels, its sides in proportion.
inline void place(Image& onto, std::int64_t left, std::int64_t top, const Image& picture) {
  const std::int64_t longer = std::max(picture.height, picture.width);
  const std::int64_t height = std::max<std::int64_t>(tile_side * picture.height / longer, 1);
  const std::int64_t width = std::max<std::int64_t>(tile_side * picture.width / longer, 1);
  left += (tile_side - width) / 2, top += (tile_side - height) / 2;
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      std::copy_n(picture.at(y * picture.height / height, x * picture.width / width), 3, onto.at(top + y, left + x));
}

}  // namespace detail

/// A picture, RGB, and what is written above it.
struct Tile {
  std::string name;
  Image picture;
};

/// The coloured map of each output that has one and whose tensor is there, in the order of execution. Outputs that
/// equal another, of a single pixel, or constant over the image are left out.
inline std::vector<Tile> tiles_of(const Manifest& manifest, const Tensors& tensors) {
  std::vector<Tile> tiles;
  for (const Output& output : manifest.outputs) {
    const auto found = tensors.find(output.name);
    if (found == tensors.end() || !has_map(output) || !output.alias_of.empty()) continue;
    const Map map = channel_mean(found->second, output);
    const auto range = range_of(map);
    if (map.values.size() > 1 && (!range || range->first != range->second))
      tiles.push_back({output.name, coloured(map)});
  }
  return tiles;
}

/// Tiles side by side on one page, each under its name, in about as many columns as rows.
inline Image grid(const std::vector<Tile>& tiles) {
  if (tiles.empty()) throw Error("There is no map to draw: no output has a height and a width, or all are constant.");
  const auto count = static_cast<std::int64_t>(tiles.size());
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  constexpr std::int64_t across = detail::tile_side + detail::margin, down = across + detail::caption;
  Image page =
      detail::blank((count + columns - 1) / columns * down + detail::margin, columns * across + detail::margin, 3);
  std::fill(page.pixels.begin(), page.pixels.end(), std::uint8_t{255});
  for (std::int64_t index = 0; index < count; ++index) {
    const Tile& tile = tiles[static_cast<std::size_t>(index)];
    const std::int64_t left = detail::margin + index % columns * across, top = detail::margin + index / columns * down;
    detail::write_text(page, left, top + 2, tile.name);
    detail::place(page, left, top + detail::caption, detail::with_channels(tile.picture, 3));
  }
  return page;
}

}  // namespace layerprobe

#endif
