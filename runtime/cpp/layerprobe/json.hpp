// JSON of anyone's: bounded, and nothing in it twice.
#ifndef LAYERPROBE_JSON_HPP
#define LAYERPROBE_JSON_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text.hpp"

namespace layerprobe {

namespace json {

struct Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  ///< sorted by name

struct Value {
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> data;

  /// The value under a name of an object; null where there is none.
  const Value* find(std::string_view name) const;
};

inline bool operator==(const Value& one, const Value& other) { return one.data == other.data; }

inline const Value* Value::find(std::string_view name) const {
  const auto* object = std::get_if<Object>(&data);
  if (object == nullptr) return nullptr;
  const auto at = std::lower_bound(object->begin(), object->end(), name,
                                   [](const auto& member, std::string_view wanted) { return member.first < wanted; });
  return at != object->end() && at->first == name ? &at->second : nullptr;
}

/// Reads one document. Bounds that no artifact comes near keep a small file from taking much memory or stack.
class Parser {
 public:
  Parser(std::string_view text, std::string what) : text_(text), what_(std::move(what)) {}

  Value document() {
    for (std::size_t at = 0; at < text_.size();)
      if (detail::next_code_point(text_, at) == detail::not_utf8) fail("it is not UTF-8", at);
    Value value = any(0);
    skip_space();
    if (at_ != text_.size()) fail("something follows its end", at_);
    return value;
  }

 private:
  static constexpr int deepest_ = 64;
  static constexpr int most_values_ = 2'000'000;

  [[noreturn]] void fail(const std::string& why, std::size_t at) const {
    throw Error(what_ + " is not valid JSON: " + why + " (byte " + std::to_string(at) + ").");
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char expected) {
    skip_space();
    if (peek() != expected || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  void expect(char expected) {
    if (!take(expected)) fail(std::string("'") + expected + "' is missing", at_);
  }

  Value any(int depth) {
    if (depth > deepest_) fail("it is nested too deeply", at_);
    if (++values_ > most_values_) fail("it has too many values", at_);
    skip_space();
    switch (peek()) {
      case '{':
        return {object(depth)};
      case '[':
        return {array(depth)};
      case '"':
        return {string()};
      case 't':
        return {word("true", true)};
      case 'f':
        return {word("false", false)};
      case 'n':
        return {word("null", nullptr)};
      default:
        return number();
    }
  }

  template <class T>
  T word(std::string_view spelled, T value) {
    if (text_.substr(at_, spelled.size()) != spelled) fail("a word is unknown", at_);
    at_ += spelled.size();
    return value;
  }

  Array array(int depth) {
    Array items;
    expect('[');
    if (take(']')) return items;
    do items.push_back(any(depth + 1));
    while (take(','));
    expect(']');
    return items;
  }

  Object object(int depth) {
    Object members;
    const std::size_t start = at_;
    expect('{');
    if (take('}')) return members;
    do {
      skip_space();
      std::string name = string();
      expect(':');
      members.emplace_back(std::move(name), any(depth + 1));
    } while (take(','));
    expect('}');
    const auto earlier = [](const auto& one, const auto& other) { return one.first < other.first; };
    std::sort(members.begin(), members.end(), earlier);
    // Which of two values of a name counts is not defined, so another reader may take the other.
    const auto twice = std::adjacent_find(members.begin(), members.end(),
                                          [](const auto& one, const auto& other) { return one.first == other.first; });
    if (twice != members.end()) fail("an object has '" + plain(twice->first) + "' twice", start);
    return members;
  }

  std::uint32_t four_digits() {
    std::uint32_t value = 0;
    for (int count = 0; count < 4; ++count, ++at_) {
      const auto digit = std::string_view("0123456789abcdefABCDEF").find(peek());
      if (at_ == text_.size() || digit == std::string_view::npos) fail("\\u needs four hexadecimal digits", at_);
      value = value * 16 + static_cast<std::uint32_t>(digit < 16 ? digit : digit - 6);
    }
    return value;
  }

  void append_escaped(std::string& into) {
    std::uint32_t point = four_digits();
    if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const std::uint32_t low = four_digits();
      if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair", at_);
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    if (point >= 0xD800 && point < 0xE000) fail("half of a surrogate pair", at_);
    const auto put = [&](std::uint32_t byte) { into += static_cast<char>(static_cast<std::uint8_t>(byte)); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
      put(0xC0 | point >> 6);
    } else {
      if (point < 0x10000) {
        put(0xE0 | point >> 12);
      } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
      }
      put(0x80 | (point >> 6 & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }

  std::string string() {
    expect('"');
    std::string read;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<std::uint8_t>(text_[at_]) < 0x20) fail("a control character in a text", at_);
      if (text_[at_] != '\\') {
        read += text_[at_++];
        continue;
      }
      ++at_;
      const char kind = peek();
      ++at_;
      const auto plain_escape = std::string_view("\"\\/bfnrt").find(kind);
      if (kind == 'u')
        append_escaped(read);
      else if (kind != '\0' && plain_escape != std::string_view::npos)
        read += "\"\\/\b\f\n\r\t"[plain_escape];
      else
        fail("an unknown escape", at_);
    }
    if (at_ >= text_.size()) fail("a text has no end", at_);
    ++at_;
    return read;
  }

  bool digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > start;
  }

  Value number() {
    const std::size_t start = at_;
    if (peek() == '-') ++at_;
    const std::size_t first = at_;
    if (!digits() || (text_[first] == '0' && at_ > first + 1)) fail("a value is missing", start);
    const std::size_t whole_end = at_;
    if (peek() == '.' && (++at_, !digits())) fail("a number has no decimals", start);
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) fail("a number has no exponent", start);
    }
    if (at_ - start > 400) fail("a number is too long", start);
    const std::string spelled(text_.substr(start, at_ - start));
    if (at_ == whole_end && at_ - first <= 18) return {static_cast<std::int64_t>(std::stoll(spelled))};
    // Not strtod, which reads a comma for the point where the program has set such a locale.
    std::istringstream stream(spelled);
    stream.imbue(std::locale::classic());
    double value = 0;
    if (!(stream >> value) || !std::isfinite(value)) fail("a number is out of range", start);
    return {value};
  }

  std::string_view text_;
  std::string what_;
  std::size_t at_ = 0;
  int values_ = 0;
};

/// @param what  what messages call the document: a file's name
inline Value parse(std::string_view text, const std::string& what) { return Parser(text, what).document(); }

/// A text as a JSON string, in quotes.
inline std::string quoted(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string written = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<std::uint8_t>(letter);
    if (byte < 0x20)
      written += std::string("\\u00") + hex[byte >> 4] + hex[byte & 15];
    else if (letter == '"' || letter == '\\')
      written += std::string("\\") + letter;
    else
      written += letter;
  }
  return written + "\"";
}

}  // namespace json

}  // namespace layerprobe

#endif
