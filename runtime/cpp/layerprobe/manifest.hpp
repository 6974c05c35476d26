// What manifest.json says, as artifacts/README.md describes it.
#ifndef LAYERPROBE_MANIFEST_HPP
#define LAYERPROBE_MANIFEST_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json_field.hpp"

namespace layerprobe {

/// How a photo becomes the input: torchvision's Resize, CenterCrop, ToTensor and Normalize, in this order.
struct Preprocessing {
  std::int64_t resize = 0;                 ///< pixels of the shorter side
  std::int64_t height = 0, width = 0;      ///< of the centre crop
  std::int64_t channels = 3;               ///< 1: grey, 3: RGB
  std::vector<float> mean, std;            ///< per channel, of pixels from 0 to 1; empty where the model normalises
  std::string interpolation = "bilinear";  ///< Pillow's filter: nearest, box, bilinear, hamming, bicubic or lanczos
  std::string layout = "NCHW";             ///< or NHWC: where the model's input has its channels
};

/// A tensor that the model is called with.
struct Input {
  std::string name;
  std::string dtype;  ///< NumPy's name, or bfloat16
};

/// How the tokens of an N L C tensor lie in the image: L = before + height * width + after.
struct TokenGrid {
  std::int64_t before = 0, height = 0, width = 0, after = 0;
};

/// A named tensor of the probe.
struct Output {
  std::string name, label;
  std::string layout;  ///< a letter for each axis: NCHW, NHWC, NLC, NC, ...; ? for an unknown one
  std::optional<TokenGrid> tokens;
  std::string alias_of;  ///< the output that this one equals; empty for most
};

struct Manifest {
  std::string model;
  std::map<std::string, std::string> files;  ///< file name to SHA-256
  std::vector<Input> inputs;
  std::optional<Preprocessing> preprocessing;  ///< none where the input is no image
  std::vector<Output> outputs;                 ///< in the order of execution
  std::vector<std::string> results;            ///< names of those outputs that the model itself returns
};

namespace detail {

inline const char* const interpolations[] = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};

inline std::vector<float> channels_of(const json::Field& field, double least, double most) {
  std::vector<float> values;
  for (const json::Field& each : field.items()) values.push_back(static_cast<float>(each.number(least, most)));
  return values;
}

inline Preprocessing read_preprocessing(const json::Field& field) {
  constexpr std::array<std::string_view, 7> known{"crop",   "in_model", "interpolation", "layout", "mean",
                                                  "resize", "std"};
  // Elsewhere a field that is unknown can be passed over. Here it would be a rule, and the input would be another.
  for (const auto& [name, value] : field.object())
    if (!std::binary_search(known.begin(), known.end(), name)) field.fail("'" + plain(name) + "' is unknown here");
  constexpr std::int64_t longest = 1 << 20;
  const auto crop = field["crop"].items();
  if (crop.size() != 2) field["crop"].fail("it must be a height and a width");
  Preprocessing steps{};
  steps.resize = field["resize"].integer(1, longest);
  steps.height = crop[0].integer(1, longest), steps.width = crop[1].integer(1, longest);
  steps.interpolation = field["interpolation"].text(), steps.layout = field["layout"].text();
  const bool in_model = field["mean"].is_null() && field["std"].is_null();
  const json::Field normalisation = in_model ? field["in_model"] : field;
  const auto mean = channels_of(normalisation["mean"], -1e6, 1e6),
             deviation = channels_of(normalisation["std"], 1e-7, 1e6);
  if (mean.size() != deviation.size() || (mean.size() != 1 && mean.size() != 3))
    normalisation.fail("mean and std need a number for each of 1 or 3 channels");
  steps.channels = static_cast<std::int64_t>(mean.size());
  if (!in_model) steps.mean = mean, steps.std = deviation;
  if (std::find(std::begin(interpolations), std::end(interpolations), steps.interpolation) == std::end(interpolations))
    field["interpolation"].fail("'" + steps.interpolation + "' is none of Pillow's filters");
  if (steps.layout != "NCHW" && steps.layout != "NHWC") field["layout"].fail("it is neither NCHW nor NHWC");
  return steps;
}

inline Output read_output(const json::Field& field) {
  Output output{field["name"].text(), field["label"].text(), field["layout"].text(), std::nullopt, ""};
  if (output.layout.size() != field["shape"].items().size()) field.fail("its layout has not one letter for each axis");
  if (!field["alias_of"].is_null()) output.alias_of = field["alias_of"].text();
  if (const json::Field tokens = field["tokens"]; !tokens.is_null()) {
    const auto count = [&](const char* name, int least) {
      return tokens[name].integer(least, (std::int64_t{1} << 31) - 1);
    };
    output.tokens = TokenGrid{count("before", 0), count("height", 1), count("width", 1), count("after", 0)};
  }
  return output;
}

inline bool is_file_name(std::string_view name) {
  const auto is_plain = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '_' || letter == '.' || letter == '-';
  };
  return !name.empty() && name.size() <= 200 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

template <class Items>
void refuse_double_names(const Items& items, const std::string& where) {
  std::map<std::string, int> seen;
  for (const auto& each : items)
    if (each.name.empty() || seen[each.name]++)
      throw Error(where + ": the name '" + each.name + "' is empty or is there twice.");
}

inline Manifest read_manifest(const json::Value& document, const std::string& what) {
  const json::Field root{document, what};
  if (const std::int64_t version = root["format_version"].integer(0, 1'000'000); version != 1)
    throw Error(what + " has format version " + std::to_string(version) + "; this header reads 1. Update it.");
  Manifest manifest;
  manifest.model = root["model"].text();
  for (const auto& [name, hash] : root["files"].object()) {
    if (!is_file_name(name)) root.fail("the file name '" + plain(name) + "' is not plain");
    manifest.files[name] = json::Field{hash, what + ": files." + name}.text();
  }
  for (const json::Field& each : root["inputs"].items())
    manifest.inputs.push_back({each["name"].text(), each["dtype"].text()});
  if (const json::Field steps = root["preprocessing"]; !steps.is_null())
    manifest.preprocessing = read_preprocessing(steps);
  for (const json::Field& each : root["outputs"].items()) manifest.outputs.push_back(read_output(each));
  for (const auto& [path, name] : root["results"].object())
    manifest.results.push_back(json::Field{name, what + ": results"}.text());
  refuse_double_names(manifest.inputs, what);
  refuse_double_names(manifest.outputs, what);
  return manifest;
}

}  // namespace detail

/// The field `preprocessing` of a manifest, from its JSON.
inline Preprocessing parse_preprocessing(std::string_view text) {
  return detail::read_preprocessing({json::parse(text, "preprocessing"), "preprocessing"});
}

}  // namespace layerprobe

#endif
