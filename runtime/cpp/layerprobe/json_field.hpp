// What a JSON document must have, or an Error that says where it hasn't.
#ifndef LAYERPROBE_JSON_FIELD_HPP
#define LAYERPROBE_JSON_FIELD_HPP

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "json.hpp"

namespace layerprobe {

namespace json {

/// A value that must be of a kind, and where it stands, for the message if it isn't.
struct Field {
  const Value& value;
  std::string where;  ///< "manifest.json: outputs.3.name"

  [[noreturn]] void fail(const std::string& why) const { throw Error(where + ": " + why + "."); }

  template <class T>
  const T& as(const char* kind) const {
    const T* found = std::get_if<T>(&value.data);
    if (found == nullptr) fail(std::string("it is not ") + kind);
    return *found;
  }

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value.data); }
  const std::string& raw_text() const { return as<std::string>("a text"); }
  std::string text() const { return plain(raw_text()); }
  const Object& object() const { return as<Object>("an object"); }

  Field operator[](const std::string& name) const {
    object();
    const Value* found = value.find(name);
    if (found == nullptr) fail("it has no '" + name + "'");
    return {*found, where + "." + name};
  }

  std::vector<Field> items() const {
    std::vector<Field> found;
    for (const Value& each : as<Array>("a list")) found.push_back({each, where + "." + std::to_string(found.size())});
    return found;
  }

  std::int64_t integer(std::int64_t least, std::int64_t most) const {
    const std::int64_t found = as<std::int64_t>("a whole number");
    if (found < least || found > most) fail("it must be from " + std::to_string(least) + " to " + std::to_string(most));
    return found;
  }

  double number(double least, double most) const {
    const auto* whole = std::get_if<std::int64_t>(&value.data);
    const double found = whole != nullptr ? static_cast<double>(*whole) : as<double>("a number");
    if (!(found >= least && found <= most)) fail("it is out of range");
    return found;
  }
};

}  // namespace json

}  // namespace layerprobe

#endif
