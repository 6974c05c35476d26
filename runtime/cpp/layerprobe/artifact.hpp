// The folder of an artifact: files checked by their hash, recorded inputs.
#ifndef LAYERPROBE_ARTIFACT_HPP
#define LAYERPROBE_ARTIFACT_HPP

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "files.hpp"
#include "manifest.hpp"
#include "sha256.hpp"
#include "tensor_file.hpp"

namespace layerprobe {

/// The folder that `layerprobe export` wrote.
class Artifact {
 public:
  explicit Artifact(fs::path folder) : folder_(std::move(folder)) {
    const fs::path file = folder_ / "manifest.json";
    std::error_code ignored;
    if (!fs::exists(file, ignored))
      throw Error(shown(folder_) +
                  " has no manifest.json: it is not an artifact.\n`layerprobe export MODEL -o FOLDER` makes one.");
    document_ = json::parse(detail::read_document(file), shown(file));
    manifest_ = detail::read_manifest(document_, shown(file));
  }

  const Manifest& manifest() const { return manifest_; }

  /// The path of one of the artifact's files, after checking that its content is what was exported; of the averaged
  /// probe's, where that is alone in the folder. Weights beside a large model.onnx are checked with it.
  fs::path file(std::string name) const {
    static const std::map<std::string, std::string> averaged{{"model.onnx", "averaged.onnx"},
                                                             {"model.torchscript.pt", "averaged.torchscript.pt"},
                                                             {"reference.safetensors", "averaged.safetensors"}};
    const auto other = averaged.find(name);
    if (!has(name) && other != averaged.end() && has(other->second)) name = other->second;
    check(name);
    if (has(name + ".data")) check(name + ".data");
    return folder_ / name;
  }

  bool has(const std::string& name) const { return manifest_.files.count(name) > 0; }

  /// Refuses a model file whose copy of the manifest is another than manifest.json, which no hash protects. In an ONNX
  /// file the copy is the metadata `layerprobe.manifest`, in a TorchScript file the extra file `manifest.json`.
  void refuse_other_copy(std::string_view copy) const {
    json::Value inside = json::parse(copy, "the manifest inside the model file"), beside = document_;
    for (json::Value* each : {&inside, &beside}) {
      auto* members = std::get_if<json::Object>(&each->data);
      if (members == nullptr) throw Error("The manifest inside the model file is no object.");
      members->erase(
          std::remove_if(members->begin(), members->end(), [](const auto& member) { return member.first == "files"; }),
          members->end());
    }
    if (inside == beside) return;
    std::string field = "a field";
    for (const auto& [name, value] : std::get<json::Object>(beside.data))
      if (const json::Value* found = inside.find(name); found == nullptr || !(*found == value)) field = plain(name);
    throw Error(shown(folder_) + ": the manifest was altered: its " + field +
                " is another in the copy inside the model file.\nCopy the folder again, or export it again.");
  }

  /// The recorded input number `index`, from 0: what `layerprobe verify --tensors` can judge the outputs of.
  Tensors recorded_input(int index) const {
    const TensorFile recorded(file("reference.safetensors"));
    Tensors inputs;
    for (const Input& each : manifest_.inputs) {
      const std::string name = std::to_string(index) + "/input:" + each.name;
      if (!recorded.has(name)) throw Error("There is no recorded input number " + std::to_string(index) + ". Take 0.");
      inputs[each.name] = recorded.read(name);
    }
    return inputs;
  }

 private:
  void check(const std::string& name) const {
    const auto listed = manifest_.files.find(name);
    if (listed == manifest_.files.end()) throw Error(shown(folder_) + " has no " + plain(name) + ".");
    if (sha256_of_file(folder_ / name) != listed->second)
      throw Error(shown(folder_ / name) +
                  " was altered after the export: its SHA-256 differs from the manifest's.\n"
                  "Copy the folder again, or export it again.");
  }

  fs::path folder_;
  json::Value document_;
  Manifest manifest_;
};

}  // namespace layerprobe

#endif
