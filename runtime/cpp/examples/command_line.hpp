// What both examples share: their arguments, what the model is given, and what is written of its tensors.
#ifndef LAYERPROBE_EXAMPLES_COMMAND_LINE_HPP
#define LAYERPROBE_EXAMPLES_COMMAND_LINE_HPP

#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "layerprobe.hpp"

namespace examples {

constexpr int usage_error = 2, input_error = 3;

struct Arguments {
  std::string artifact;
  std::string photo;   ///< a PPM; empty: the recorded input is run
  int recorded = 0;    ///< which one
  std::string output;  ///< the safetensors file to write
  std::string grid;    ///< the PPM to write; may be empty
};

inline constexpr const char* usage =
    "usage: PROGRAM ARTIFACT (PHOTO.ppm | --recorded K) -o OUT.safetensors [--grid GRID.ppm]\n"
    "Runs the model on a photo, or on the input number K that the artifact has on record, and writes every tensor by\n"
    "name. `layerprobe verify ARTIFACT --tensors OUT.safetensors` judges what a recorded input became.\n";

inline int whole_number(const std::string& word) {
  if (word.empty() || word.size() > 6 || word.find_first_not_of("0123456789") != std::string::npos)
    throw std::invalid_argument("'" + word + "' is no number of a recorded input.");
  return std::stoi(word);
}

/// The arguments; what is wrong with them ends the program.
inline Arguments parse(int count, char** words) {
  Arguments found;
  std::vector<std::string> plain;
  bool recorded = false;
  for (int at = 1; at < count; ++at) {
    const std::string word = words[at];
    const auto next = [&]() -> std::string {
      if (++at < count) return words[at];
      throw std::invalid_argument(word + " needs a value.");
    };
    if (word == "-o")
      found.output = next();
    else if (word == "--grid")
      found.grid = next();
    else if (word == "--recorded")
      recorded = true, found.recorded = whole_number(next());
    else if (word[0] == '-')
      throw std::invalid_argument("There is no option " + word + ".");
    else
      plain.push_back(word);
  }
  if (plain.size() != (recorded ? 1U : 2U) || found.output.empty())
    throw std::invalid_argument("An artifact, one input and -o are needed.");
  found.artifact = plain[0];
  if (!recorded) found.photo = plain[1];
  return found;
}

/// What the model is given, by the names of its inputs.
inline layerprobe::Tensors inputs_of(const Arguments& arguments, const layerprobe::Artifact& artifact) {
  if (arguments.photo.empty()) return artifact.recorded_input(arguments.recorded);
  const layerprobe::Manifest& manifest = artifact.manifest();
  if (!manifest.preprocessing || manifest.inputs.size() != 1)
    throw layerprobe::Error(manifest.model + " takes no photo. Run its recorded input: --recorded 0.");
  layerprobe::check_preprocessing(artifact);
  const layerprobe::Image photo = layerprobe::read_ppm(arguments.photo);
  const layerprobe::Input& input = manifest.inputs[0];
  return {{input.name, layerprobe::preprocess(photo, *manifest.preprocessing, input.dtype)}};
}

/// Writes every tensor by name, with what was given, and the grid.
/// @param facts  metadata: what may explain a drift, such as versions and the device
inline void write_results(const Arguments& arguments, const layerprobe::Artifact& artifact, layerprobe::Tensors inputs,
                          layerprobe::Tensors outputs, layerprobe::Metadata facts) {
  if (arguments.photo.empty()) facts["layerprobe.recorded_input"] = std::to_string(arguments.recorded);
  if (!arguments.grid.empty()) {
    std::vector<layerprobe::Tile> tiles = layerprobe::tiles_of(artifact.manifest(), outputs);
    if (!arguments.photo.empty())
      tiles.insert(tiles.begin(), {"photo", layerprobe::cropped(layerprobe::read_ppm(arguments.photo),
                                                                *artifact.manifest().preprocessing)});
    layerprobe::write_ppm(arguments.grid, layerprobe::grid(tiles));
  }
  const std::size_t count = outputs.size();
  for (auto& [name, tensor] : inputs) outputs["input:" + name] = std::move(tensor);
  layerprobe::write_tensors(arguments.output, outputs, facts);
  std::cout << arguments.output << ": " << count << " outputs\n";
}

/// Runs a program and turns what it throws into a message and an exit code.
inline int guarded(int count, char** words, const std::function<void(const Arguments&)>& run) {
  Arguments arguments;
  try {
    arguments = parse(count, words);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n" << usage;
    return usage_error;
  }
  try {
    run(arguments);
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return input_error;
  }
}

}  // namespace examples

#endif
