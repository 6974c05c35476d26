// Errors, and texts of strangers as they may be shown.
#ifndef LAYERPROBE_TEXT_HPP
#define LAYERPROBE_TEXT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace layerprobe {

/// What was asked, what is there and what to do next, in one or two lines without control characters.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

constexpr std::int64_t not_utf8 = -1;

/// The code point at `at`, which moves behind it; `not_utf8` where there is none.
inline std::int64_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
  const std::uint8_t first = byte(at);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || length > text.size() - at) return not_utf8;
  std::int64_t point = length == 1 ? first : first & (0x7F >> length);
  for (std::size_t index = 1; index < length; ++index) {
    if ((byte(at + index) & 0xC0) != 0x80) return not_utf8;
    point = point << 6 | (byte(at + index) & 0x3F);
  }
  constexpr std::array<std::int64_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return not_utf8;
  at += length;
  return point;
}

/// Whether a terminal would obey it: control characters, line separators, and what sets the direction of writing.
inline bool is_obeyed(std::int64_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x61C || point == 0x200E || point == 0x200F ||
         (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

}  // namespace detail

/// A text of a stranger's as it may be shown: what a terminal would obey becomes `?`; cut to 300 characters.
inline std::string plain(std::string_view text) {
  constexpr int longest = 300;
  std::string shown, but_last;
  int count = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (++count == longest) but_last = shown;
    if (count > longest) return but_last + "\u2026";
    const std::size_t start = at;
    const std::int64_t point = detail::next_code_point(text, at);
    if (point == detail::not_utf8) at = start + 1;
    shown += point == detail::not_utf8 || detail::is_obeyed(point) ? "?" : std::string(text.substr(start, at - start));
  }
  return shown;
}

}  // namespace layerprobe

#endif
