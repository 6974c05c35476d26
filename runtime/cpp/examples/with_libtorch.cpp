// An artifact's model.torchscript.pt in libtorch: every tensor by name.
//
// A TorchScript file is a program that can do whatever you can: run it only if you trust whoever made it. The hash
// shows that it is the file that the manifest lists, and not who made it.
#include <torch/script.h>
#include <torch/version.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "command_line.hpp"

namespace {

using layerprobe::Tensor;
using layerprobe::Tensors;

/// libtorch's types, by safetensors' names.
constexpr std::array<std::pair<const char*, c10::ScalarType>, 10> types{{
    {"F32", c10::kFloat},
    {"F64", c10::kDouble},
    {"F16", c10::kHalf},
    {"BF16", c10::kBFloat16},
    {"BOOL", c10::kBool},
    {"U8", c10::kByte},
    {"I8", c10::kChar},
    {"I16", c10::kShort},
    {"I32", c10::kInt},
    {"I64", c10::kLong},
}};

at::Tensor copied(Tensor& tensor, const std::string& dtype) {
  for (const auto& [name, type] : types)
    if (tensor.dtype == name) {
      const at::Tensor made = torch::from_blob(tensor.data.data(), tensor.shape, type).clone();
      // NumPy has no bfloat16, so such an input is on record as float32.
      return dtype == "bfloat16" ? made.to(c10::kBFloat16) : made;
    }
  throw layerprobe::Error("libtorch has no type " + tensor.dtype + ".");
}

Tensor copied(const at::Tensor& value, const std::string& output) {
  const at::Tensor whole = value.detach().cpu().contiguous();
  for (const auto& [name, type] : types)
    if (whole.scalar_type() == type) return layerprobe::make_tensor(name, whole.sizes().vec(), whole.data_ptr());
  throw layerprobe::Error("'" + output + "' is of a type that safetensors lacks.");
}

Tensors computed(torch::jit::Module& module, const layerprobe::Manifest& manifest, Tensors& inputs) {
  const c10::InferenceMode no_gradients;
  std::vector<c10::IValue> given;
  for (const layerprobe::Input& each : manifest.inputs) given.emplace_back(copied(inputs.at(each.name), each.dtype));
  Tensors outputs;
  for (const auto& entry : module.forward(std::move(given)).toGenericDict()) {
    const std::string name = entry.key().toStringRef();
    outputs[name] = copied(entry.value().toTensor(), name);
  }
  return outputs;
}

void run(const examples::Arguments& arguments) {
  const layerprobe::Artifact artifact(arguments.artifact);
  torch::jit::ExtraFilesMap extra{{"manifest.json", ""}};
  torch::jit::Module module =
      torch::jit::load(artifact.file("model.torchscript.pt").string(), c10::Device(c10::kCPU), extra);
  if (const std::string& copy = extra["manifest.json"]; !copy.empty()) artifact.refuse_other_copy(copy);
  module.eval();

  Tensors inputs = examples::inputs_of(arguments, artifact);
  Tensors outputs = computed(module, artifact.manifest(), inputs);
  examples::write_results(arguments, artifact, std::move(inputs), std::move(outputs),
                          {{"runtime", "libtorch"}, {"version", TORCH_VERSION}, {"device", "cpu"}});
}

}  // namespace

int main(int count, char** words) { return examples::guarded(count, words, run); }
