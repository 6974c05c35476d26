// safetensors files, read and written.
#ifndef LAYERPROBE_TENSOR_FILE_HPP
#define LAYERPROBE_TENSOR_FILE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "files.hpp"
#include "json_field.hpp"
#include "tensor.hpp"

namespace layerprobe {

/// A safetensors file of anyone's (https://github.com/huggingface/safetensors#format): its names, its metadata, and
/// each tensor as it is asked for. The file must remain.
class TensorFile {
 public:
  explicit TensorFile(fs::path path) : path_(std::move(path)) {
    std::ifstream stream = detail::open_regular(path_);
    const std::uint64_t file_size = fs::file_size(path_);
    std::uint64_t length = 0;
    if (!stream.read(reinterpret_cast<char*>(&length), 8)) fail("it is shorter than 8 bytes");
    if (length > detail::largest_header) fail("its header has over 64 MiB");
    if (length > file_size - 8) fail("it is truncated");
    std::string header(static_cast<std::size_t>(length), '\0');
    if (!stream.read(header.data(), static_cast<std::streamsize>(length))) fail("it is truncated");
    body_ = 8 + length;
    read_header(json::parse(header, shown()), file_size - body_);
  }

  const std::vector<std::string>& names() const { return names_; }
  const Metadata& metadata() const { return metadata_; }
  bool has(const std::string& name) const { return places_.count(name) > 0; }

  Tensor read(const std::string& name) const {
    const auto found = places_.find(name);
    if (found == places_.end()) throw Error(shown() + " has no tensor '" + plain(name) + "'.");
    const Place& place = found->second;
    Tensor tensor{place.dtype, place.shape, {}};
    std::ifstream stream = detail::open_regular(path_);
    // Its size once more: the file may have been cut since, and what is allocated must be there.
    if (fs::file_size(path_) < body_ + place.end) fail("it is truncated");
    tensor.data.resize(static_cast<std::size_t>(place.end - place.begin));
    stream.seekg(static_cast<std::streamoff>(body_ + place.begin));
    if (!stream.read(reinterpret_cast<char*>(tensor.data.data()), static_cast<std::streamsize>(tensor.data.size())))
      fail("it is truncated");
    return tensor;
  }

 private:
  struct Place {
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin, end;
  };

  std::string shown() const { return layerprobe::shown(path_); }

  [[noreturn]] void fail(const std::string& why) const {
    throw Error(shown() + " can't be read as safetensors: " + why + ".");
  }

  void read_header(const json::Value& header, std::uint64_t body_size) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;
    for (const auto& [name, value] : json::Field{header, shown()}.object()) {
      const json::Field entry{value, shown() + ": " + plain(name)};
      if (name == "__metadata__") {
        for (const auto& [key, text] : entry.object()) metadata_[key] = json::Field{text, entry.where}.raw_text();
        continue;
      }
      const Place place = place_of(entry, body_size);
      taken.emplace_back(place.begin, place.end);
      names_.push_back(name);
      places_.emplace(name, place);
    }
    std::sort(taken.begin(), taken.end());
    std::uint64_t end = 0;
    for (const auto& [begin, after] : taken) {
      if (begin != end) fail("its tensors overlap or leave a gap");
      end = after;
    }
    if (end != body_size) fail("its tensors don't fill it");
  }

  static Place place_of(const json::Field& entry, std::uint64_t body_size) {
    Place place{entry["dtype"].raw_text(), {}, 0, 0};
    for (const json::Field& axis : entry["shape"].items())
      place.shape.push_back(axis.integer(0, std::int64_t{1} << 40));
    const auto offsets = entry["data_offsets"].items();
    if (offsets.size() != 2) entry.fail("data_offsets are not two numbers");
    const auto last = static_cast<std::int64_t>(body_size);
    place.begin = static_cast<std::uint64_t>(offsets[0].integer(0, last));
    place.end = static_cast<std::uint64_t>(offsets[1].integer(static_cast<std::int64_t>(place.begin), last));
    const auto bytes = detail::elements_of(place.shape) * detail::dtype_named(place.dtype).bytes;
    if (static_cast<std::uint64_t>(bytes) != place.end - place.begin)
      entry.fail("its shape has another size than its bytes");
    return place;
  }

  fs::path path_;
  std::uint64_t body_ = 0;
  std::vector<std::string> names_;
  Metadata metadata_;
  std::map<std::string, Place> places_;
};

/// Writes a safetensors file, whole or not at all. What `layerprobe verify --tensors` wants of names and metadata is in
/// artifacts/README.md, "Tensors that were computed elsewhere".
inline void write_tensors(const fs::path& path, const Tensors& tensors, const Metadata& metadata = {}) {
  std::string header = "{\"__metadata__\":{";
  for (const auto& [key, text] : metadata)
    header += (header.back() == '{' ? "" : ",") + json::quoted(key) + ":" + json::quoted(text);
  header += "}";
  std::size_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const std::int64_t size : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    if (tensor.data.size() != static_cast<std::size_t>(tensor.size() * detail::dtype_named(tensor.dtype).bytes))
      throw Error("The tensor '" + plain(name) + "' has another number of bytes than its shape.");
    header += "," + json::quoted(name) + ":{\"dtype\":" + json::quoted(tensor.dtype) + ",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(begin + tensor.data.size()) + "]}";
    begin += tensor.data.size();
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');  // so that the tensors are aligned for whoever maps the file
  detail::write_whole(path, [&](std::ofstream& stream) {
    const std::uint64_t length = header.size();
    stream.write(reinterpret_cast<const char*>(&length), 8);
    stream.write(header.data(), static_cast<std::streamsize>(header.size()));
    for (const auto& [name, tensor] : tensors)
      stream.write(reinterpret_cast<const char*>(tensor.data.data()), static_cast<std::streamsize>(tensor.data.size()));
  });
}

}  // namespace layerprobe

#endif
