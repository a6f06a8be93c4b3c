// Seconds of the layerwise NTK of all units over those of K forward+backward passes (all weights'
// gradients of one logit, summed over the batch) on the same ViT and batch: 64 × 64 images, 65
// tokens. Both are run alternately in this process after a warm-up, and the least time of each
// counts. Beside the ratio stand three more:
//   peak         what the process grew by at most during a run of the NTK, from what it held idle
//   sweep floor  matrix products' operations of one forward and K backward passes without weight
//                gradients, which every method here needs, over those of the K passes
//   Gram floor   the same with every weight's Jacobian and half its product with its transpose
// `bench_ntk --write FOLDER` writes a model and its inputs for bench/peers/ntk_*.py.

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "cli/report_errors.h"
#include "core/provenance.h"
#include "models/device.h"
#include "models/torch.h"
#include "ntk/lntk.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/core/safetensors.h"
#include "support/tiny_model.h"
#include "tasks/answer_classification.h"

using namespace strata;
using namespace strata::cli;
using namespace strata::models;
using namespace strata::ntk;
using torch::Tensor;

namespace {

constexpr std::int64_t kImageSize = 64, kPatchSize = 8;
constexpr double kMiB = 1 << 20;

struct Shape {
  std::int64_t hidden, layers, samples, outputs;
};

Model make_model(const Shape& shape, torch::Device device = torch::kCPU) {
  test::ModelShape config;
  config.model_type = "vit";
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = std::max<std::int64_t>(1, shape.hidden / 64);
  config.intermediate_size = 4 * shape.hidden;
  config.image_size = kImageSize;
  config.patch_size = kPatchSize;
  config.scaled_initialization = true;
  for (std::int64_t k = 0; k < shape.outputs; ++k) {
    config.labels.push_back("label " + std::to_string(k));
  }
  return Model(config, 1, device);
}

Tensor make_pixels(std::int64_t samples) {
  Random random(derive_seed(1, "pixels"));
  Tensor pixels = torch::empty({samples, 3, kImageSize, kImageSize});
  for (std::int64_t i = 0; i < pixels.numel(); ++i) {
    pixels.data_ptr<float>()[i] = static_cast<float>(random.normal());
  }
  return pixels;
}

void write_pixels(const Tensor& pixels, const std::filesystem::path& file) {
  const std::string_view bytes(static_cast<const char*>(pixels.data_ptr()), pixels.nbytes());
  write_safetensors(file, {{"pixels", Dtype::kF32, pixels.sizes().vec(), bytes}});
}

Tensor read_pixels(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const TensorEntry* entry = file.find("pixels");
  if (!entry || entry->dtype != Dtype::kF32) {
    throw InputError(path.string() + ": no tensor \"pixels\" of type F32");
  }
  Tensor pixels = torch::empty(entry->shape);
  std::memcpy(pixels.data_ptr(), file.bytes(*entry).data(), pixels.nbytes());
  return pixels;
}

/// Of matrix products, 2 a multiply-add.
struct Operations {
  double passes = 0;  ///< K forward+backward passes
  double sweep = 0;   ///< one forward and K backward passes without weight gradients
  double gram = 0;    ///< Jacobians and their products with themselves
};

Operations count_operations(const test::ModelShape& config, double samples) {
  const double hidden = config.hidden_size, inner = config.intermediate_size;
  const double outputs = config.label_count(), patches = config.patches(), tokens = patches + 1;
  const double rows = samples * outputs;
  Operations total;
  const auto linear = [&](double in, double out, double uses, bool needs_input_gradient) {
    const double product = 2 * samples * uses * in * out;
    const double backward = needs_input_gradient ? product : 0;
    total.passes += outputs * (2 * product + backward);
    total.sweep += product + outputs * backward;
    total.gram += uses > 1 ? outputs * product + rows * rows * in * out : rows * rows * out;
  };
  const auto attention = [&](double queries) {
    const double forward = 4 * samples * queries * tokens * hidden;
    total.passes += outputs * 3 * forward;
    total.sweep += forward + outputs * 2 * forward;
  };
  linear(3 * kPatchSize * kPatchSize, hidden, patches, false);
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    const double queries = i + 1 == config.num_hidden_layers ? 1 : tokens;
    linear(hidden, 2 * hidden, tokens, true);   // keys and values
    linear(hidden, 2 * hidden, queries, true);  // queries and the attention's output
    linear(hidden, inner, queries, true);
    linear(inner, hidden, queries, true);
    attention(queries);
  }
  linear(hidden, outputs, 1, true);
  return total;
}

double seconds_of(torch::Device device, const std::function<void()>& work) {
  const auto finished = [&] {
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
    return std::chrono::steady_clock::now();
  };
  const auto start = finished();
  work();
  return std::chrono::duration<double>(finished() - start).count();
}

void run_passes(Model& model, const Batch& batch) {
  std::vector<std::string> names;
  std::vector<Tensor> weights;
  for (const Unit& unit : model.units()) {
    names.push_back(unit.name);
    for (const Tensor& weight : model.weights_of(unit)) weights.push_back(weight);
  }
  model.train_only(names);
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(model.architecture().labels().size());
       ++k) {
    const Tensor logits = model.forward(batch);
    torch::autograd::grad({logits.select(1, k).sum()}, weights);
  }
  model.train_only({});
}

nlohmann::ordered_json measure(Model& model, const Batch& batch, const LntkOptions& options,
                               int threads, int repetitions) {
  const torch::Device device = model.device();
  std::vector<UnitSpectrum> spectra;
  const auto lntk = [&] {
    spectra =
        layerwise_spectra(model, *tasks::answer_classification(), batch, model.units(), options);
  };
  const auto passes = [&] { run_passes(model, batch); };

  // The warm-up brings what the libraries keep: threads, their buffers, loaded kernels.
  const Batch one{{}, {}, batch.pixels.narrow(0, 0, 1), batch.labels.narrow(0, 0, 1)};
  layerwise_spectra(model, *tasks::answer_classification(), one, model.units(), options);
  run_passes(model, one);
  malloc_trim(0);
  reset_peak_memory(device);
  const std::int64_t idle = peak_memory(device);
  double lntk_seconds = seconds_of(device, lntk);
  const std::int64_t growth = peak_memory(device) - idle;
  double passes_seconds = seconds_of(device, passes);
  for (int repetition = 1; repetition < repetitions; ++repetition) {
    lntk_seconds = std::min(lntk_seconds, seconds_of(device, lntk));
    passes_seconds = std::min(passes_seconds, seconds_of(device, passes));
  }

  const test::ModelShape config = test::shape_of(model);
  const Operations operations = count_operations(config, batch.size());
  nlohmann::ordered_json row{
      {"hidden", config.hidden_size},
      {"layers", config.num_hidden_layers},
      {"samples", batch.size()},
      {"outputs", config.label_count()},
      {"tokens", config.patches() + 1},
      {"device", device.str()},
      {"threads", threads},
      {"repetitions", repetitions},
      {"seconds", lntk_seconds},
      {"passes_seconds", passes_seconds},
      {"ratio", lntk_seconds / passes_seconds},
      {"sweep_floor", operations.sweep / operations.passes},
      {"gram_floor", (operations.sweep + operations.gram) / operations.passes},
      {"peak_mib", growth / kMiB},
      {"units", nlohmann::ordered_json::array()},
      {"torch", describe_torch()},
  };
  for (const UnitSpectrum& spectrum : spectra) {
    row["units"].push_back({{"unit", spectrum.unit},
                            {"eigenvalue", spectrum.spectrum.values.at(0)},
                            {"residual", spectrum.spectrum.residual},
                            {"method", spectrum.method == NtkMethod::kLanczos ? "lanczos" : "gram"},
                            {"products", spectrum.spectrum.products},
                            {"converged", spectrum.spectrum.converged}});
  }
  for (const auto& [key, value] : provenance()) row[key] = value;
  return row;
}

void print_table_row(const nlohmann::ordered_json& row) {
  std::printf("%4d x %-2d n %-3d K %-3d %9.2f %9.2f %7.2f %7.2f %7.2f %9.0f MiB\n",
              row["hidden"].get<int>(), row["layers"].get<int>(), row["samples"].get<int>(),
              row["outputs"].get<int>(), row["seconds"].get<double>(),
              row["passes_seconds"].get<double>(), row["ratio"].get<double>(),
              row["sweep_floor"].get<double>(), row["gram_floor"].get<double>(),
              row["peak_mib"].get<double>());
  for (const auto& unit : row["units"]) {
    std::printf("    %-12s %-10s %12.6g  residual %.1e%s\n",
                unit["unit"].get<std::string>().c_str(), unit["method"].get<std::string>().c_str(),
                unit["eigenvalue"].get<double>(), unit["residual"].get<double>(),
                unit["converged"].get<bool>() ? "" : "  NOT CONVERGED");
  }
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  std::vector<std::string> shape_texts{"192,12,16,8", "192,12,32,16", "192,12,64,16",
                                       "384,12,16,8"};
  std::string read, write, device_text = "cpu";
  int threads = 1, repetitions = 3;
  double memory_gib = 4;
  bool json = false;
  CLI::App app("Cost of the layerwise NTK over that of K forward+backward passes");
  app.add_option("--shape", shape_texts,
                 "HIDDEN,LAYERS,SAMPLES,OUTPUTS; several are measured in turn");
  app.add_option("--read", read, "measure on the model and inputs of this folder");
  app.add_option("--write", write, "write the model and inputs of the first shape and end");
  app.add_option("--threads", threads)->check(CLI::PositiveNumber);
  app.add_option("--repetitions", repetitions)->check(CLI::PositiveNumber);
  app.add_option("--memory", memory_gib, "GiB the NTK may take beside one unit's captures");
  app.add_option("--device", device_text);
  app.add_flag("--json", json, "one JSON object a shape");
  CLI11_PARSE(app, argc, argv);

  std::vector<Shape> shapes;
  for (const std::string& text : shape_texts) {
    Shape shape;
    char end;
    if (std::sscanf(text.c_str(), "%ld,%ld,%ld,%ld%c", &shape.hidden, &shape.layers, &shape.samples,
                    &shape.outputs, &end) != 4) {
      throw InputError("--shape: found \"" + text + "\", HIDDEN,LAYERS,SAMPLES,OUTPUTS is needed");
    }
    shapes.push_back(shape);
  }
  set_command_line(argc, argv);
  prepare_torch(threads);
  if (!write.empty()) {
    peft::save_model(make_model(shapes.front()), write);
    write_pixels(make_pixels(shapes.front().samples),
                 std::filesystem::path(write) / "inputs.safetensors");
    return 0;
  }

  const torch::Device device = parse_device(device_text);
  LntkOptions options;
  options.memory_bytes = static_cast<std::int64_t>(memory_gib * 1024 * kMiB);
  if (!json) {
    std::printf("%22s %9s %9s %7s %7s %7s %13s\n", "shape", "NTK s", "passes s", "ratio", "sweep",
                "Gram", "peak");
  }
  const auto measure_one = [&](Model model, const Tensor& pixels) {
    const Batch batch{
        {}, {}, pixels.to(device), torch::zeros({pixels.size(0)}, torch::kInt64).to(device)};
    const auto row = measure(model, batch, options, threads, repetitions);
    if (json) {
      std::printf("%s\n", row.dump().c_str());
      std::fflush(stdout);
    } else {
      print_table_row(row);
    }
  };
  if (!read.empty()) {
    const std::filesystem::path folder = read;
    measure_one(peft::load_model(folder, device), read_pixels(folder / "inputs.safetensors"));
    return 0;
  }
  for (const Shape& shape : shapes) {
    measure_one(make_model(shape, device), make_pixels(shape.samples));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return report_errors([&] { return run(argc, argv); }, "bench_ntk");
}
