// What test_cpp_header.py calls the header through: a command, files in, files out. Exit code 3 is an Error, whose
// message is on stderr.
#include <iostream>

#include "layerprobe.hpp"

namespace lp = layerprobe;

namespace {

// Photos H W C under their names, and for each the steps as JSON in the metadata.
void preprocess(const std::string& photos, const std::string& made) {
  const lp::TensorFile file(photos);
  lp::Tensors results;
  for (const std::string& name : file.names()) {
    const lp::Tensor pixels = file.read(name);
    const lp::Image photo{pixels.shape.at(0), pixels.shape.at(1), pixels.shape.at(2), pixels.data};
    const lp::Preprocessing steps = lp::parse_preprocessing(file.metadata().at(name));
    const lp::Image crop = lp::cropped(photo, steps);
    results["cropped:" + name] = lp::make_tensor("U8", {crop.height, crop.width, crop.channels}, crop.pixels.data());
    results["input:" + name] = lp::preprocess(photo, steps, steps.mean.empty() ? "uint8" : "float32");
    if (!steps.mean.empty()) results["half:" + name] = lp::preprocess(photo, steps, "float16");
  }
  lp::write_tensors(made, results);
}

void copy(const std::string& from, const std::string& to) {
  const lp::TensorFile file(from);
  lp::Tensors tensors;
  for (const std::string& name : file.names()) tensors[name] = file.read(name);
  lp::write_tensors(to, tensors, file.metadata());
}

void open(const std::string& folder) {
  const lp::Artifact artifact(folder);
  for (const auto& [name, hash] : artifact.manifest().files)
    std::cout << artifact.file(name).filename().string() << "\n";
  for (const auto& [name, tensor] : artifact.recorded_input(0)) std::cout << "0/input:" << name << "\n";
  for (const lp::Output& each : artifact.manifest().outputs) std::cout << each.name << "\n";
  std::cout << (lp::check_preprocessing(artifact) ? "preprocessing checked" : "no test photo") << "\n";
}

void draw(const std::string& folder, const std::string& tensors, const std::string& page, const std::string& maps) {
  const lp::Artifact artifact(folder);
  const lp::TensorFile file(tensors);
  lp::Tensors read, drawn;
  for (const std::string& name : file.names()) read[name] = file.read(name);
  for (const lp::Output& each : artifact.manifest().outputs) {
    if (!lp::has_map(each) || !read.count(each.name)) continue;
    const lp::Map map = lp::channel_mean(read[each.name], each);
    const lp::Image image = lp::coloured(map);
    drawn[each.name] = lp::make_tensor("F64", {map.height, map.width}, map.values.data());
    drawn["coloured:" + each.name] = lp::make_tensor("U8", {map.height, map.width, 3}, image.pixels.data());
  }
  lp::write_tensors(maps, drawn);
  lp::write_ppm(page, lp::grid(lp::tiles_of(artifact.manifest(), read)));
}

int run(const std::vector<std::string>& words) {
  const auto is = [&](const char* name, std::size_t count) { return words.size() == count + 1 && words[0] == name; };
  if (is("preprocess", 2))
    preprocess(words[1], words[2]);
  else if (is("copy", 2))
    copy(words[1], words[2]);
  else if (is("open", 1))
    open(words[1]);
  else if (is("draw", 4))
    draw(words[1], words[2], words[3], words[4]);
  else if (is("ppm", 2))
    lp::write_ppm(words[2], lp::read_ppm(words[1]));
  else if (is("same", 2))
    lp::Artifact(words[1]).refuse_other_copy(words[2]);
  else
    return 2;
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run({words + 1, words + count});
  } catch (const lp::Error& error) {
    std::cerr << error.what() << "\n";
    return 3;
  }
}
