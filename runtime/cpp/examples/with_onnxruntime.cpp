// An artifact's model.onnx in ONNX Runtime's C++ API: every tensor by name.
//
// The file is data, which ONNX Runtime computes with; its hash is checked before it is opened.
#include <onnxruntime_cxx_api.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "command_line.hpp"

namespace {

using layerprobe::Tensor;
using layerprobe::Tensors;

/// ONNX Runtime's types, by safetensors' names.
constexpr std::array<std::pair<const char*, ONNXTensorElementDataType>, 13> types{{
    {"F32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {"F64", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    {"F16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    {"BF16", ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
    {"BOOL", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
    {"U8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    {"U16", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16},
    {"U32", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32},
    {"U64", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64},
    {"I8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
    {"I16", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
    {"I32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
    {"I64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
}};

/// A tensor as ONNX Runtime's, which reads its elements where they are: it must remain.
Ort::Value lent(Tensor& tensor) {
  for (const auto& [name, type] : types)
    if (tensor.dtype == name)
      return Ort::Value::CreateTensor(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault),
                                      tensor.data.data(), tensor.data.size(), tensor.shape.data(), tensor.shape.size(),
                                      type);
  throw layerprobe::Error("ONNX Runtime has no type " + tensor.dtype + ".");
}

Tensor copied(const Ort::Value& value, const std::string& output) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  for (const auto& [name, type] : types)
    if (info.GetElementType() == type) return layerprobe::make_tensor(name, info.GetShape(), value.GetTensorRawData());
  throw layerprobe::Error("'" + output + "' is of a type that safetensors lacks.");
}

Tensors computed(Ort::Session& session, Tensors& inputs) {
  std::vector<const char*> given, wanted;
  std::vector<Ort::Value> values;
  for (auto& [name, tensor] : inputs) given.push_back(name.c_str()), values.push_back(lent(tensor));
  const std::vector<std::string> names = [&] {
    std::vector<std::string> found;
    Ort::AllocatorWithDefaultOptions allocator;
    for (std::size_t at = 0; at < session.GetOutputCount(); ++at)
      found.emplace_back(session.GetOutputNameAllocated(at, allocator).get());
    return found;
  }();
  for (const std::string& name : names) wanted.push_back(name.c_str());
  const auto results =
      session.Run(Ort::RunOptions{}, given.data(), values.data(), values.size(), wanted.data(), wanted.size());
  Tensors outputs;
  for (std::size_t at = 0; at < names.size(); ++at) outputs[names[at]] = copied(results[at], names[at]);
  return outputs;
}

void run(const examples::Arguments& arguments) {
  const layerprobe::Artifact artifact(arguments.artifact);
  const layerprobe::fs::path file = artifact.file("model.onnx");
  Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "layerprobe");
  environment.DisableTelemetryEvents();
  Ort::Session session(environment, file.c_str(), Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions allocator;
  const auto copy = session.GetModelMetadata().LookupCustomMetadataMapAllocated("layerprobe.manifest", allocator);
  if (copy) artifact.refuse_other_copy(copy.get());

  Tensors inputs = examples::inputs_of(arguments, artifact);
  Tensors outputs = computed(session, inputs);
  examples::write_results(arguments, artifact, std::move(inputs), std::move(outputs),
                          {{"layerprobe.file", file.filename().string()},
                           {"runtime", "ONNX Runtime in C++"},
                           {"version", OrtGetApiBase()->GetVersionString()},
                           {"device", "cpu"}});
}

}  // namespace

int main(int count, char** words) { return examples::guarded(count, words, run); }
