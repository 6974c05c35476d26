// Files of anyone's, opened and written with care.
#ifndef LAYERPROBE_FILES_HPP
#define LAYERPROBE_FILES_HPP

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "text.hpp"

namespace layerprobe {

namespace fs = std::filesystem;

/// A path for a message.
inline std::string shown(const fs::path& path) {
  const auto text = path.u8string();  // of char8_t from C++20 on
  return plain(std::string(text.begin(), text.end()));
}

namespace detail {

constexpr std::uintmax_t largest_file = std::uintmax_t{16} << 30;  // bytes
constexpr std::size_t largest_document = std::size_t{16} << 20;
constexpr std::uint64_t largest_header = std::uint64_t{64} << 20;

/// Opens what is a regular file: a pipe would wait for ever, a device never ends.
inline std::ifstream open_regular(const fs::path& path, std::uintmax_t largest = largest_file) {
  std::error_code error;
  if (!fs::exists(path, error)) throw Error(shown(path) + " does not exist.");
  if (!fs::is_regular_file(path, error)) throw Error(shown(path) + " is no regular file.");
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || size > largest) throw Error(shown(path) + " is larger than " + std::to_string(largest) + " bytes.");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error(shown(path) + " can't be opened. Check its permissions.");
  return stream;
}

inline std::string read_document(const fs::path& path) {
  std::ifstream stream = open_regular(path, largest_document);
  std::string text(static_cast<std::size_t>(fs::file_size(path)), '\0');
  if (!stream.read(text.data(), static_cast<std::streamsize>(text.size())))
    throw Error(shown(path) + " can't be read.");
  return text;
}

/// Writes a file whole or not at all: beside its place first, and moved there when it is complete.
inline void write_whole(const fs::path& path, const std::function<void(std::ofstream&)>& write) {
  fs::path partial = path;
  partial += ".partial";
  std::error_code ignored;
  try {
    std::ofstream stream(partial, std::ios::binary | std::ios::trunc);
    write(stream);
    stream.close();
    if (!stream) throw Error(shown(path) + " can't be written. Check the folder and the space on its disk.");
    fs::rename(partial, path);
  } catch (const fs::filesystem_error& error) {
    fs::remove(partial, ignored);
    throw Error(shown(path) + " can't be written: " + plain(error.code().message()) + ".");
  } catch (...) {
    fs::remove(partial, ignored);
    throw;
  }
}

}  // namespace detail

}  // namespace layerprobe

#endif
