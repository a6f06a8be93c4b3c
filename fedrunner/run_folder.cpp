#include "fedrunner/run_folder.h"

#include <algorithm>
#include <limits>

#include "core/folder_lock.h"
#include "core/provenance.h"
#include "experiment/training_options.h"
#include "models/tensor_bytes.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"
#include "strata/fedrunner/event_file.h"
#include "strata/fedrunner/round_folder.h"

namespace strata::fedrunner {
namespace {

std::filesystem::path state_file(const std::filesystem::path& run_folder) {
  return run_folder / "state" / "state.json";
}

/// The first key at which two configurations differ, or "".
std::string first_difference(const Json& a, const Json& b, const std::string& path) {
  if (a.type() != b.type() && !(a.is_number() && b.is_number())) return path;
  if (a.is_object()) {
    const auto below = [&](const std::string& key) {
      return path.empty() ? key : path + "." + key;
    };
    for (const auto& [key, value] : a.items()) {
      if (!b.contains(key)) return below(key);
      if (auto found = first_difference(value, b.at(key), below(key)); !found.empty()) return found;
    }
    for (const auto& [key, value] : b.items()) {
      if (!a.contains(key)) return below(key);
    }
    return "";
  }
  if (a.is_array() && a.size() == b.size()) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      const auto element = path + "[" + std::to_string(i) + "]";
      if (auto found = first_difference(a[i], b[i], element); !found.empty()) return found;
    }
    return "";
  }
  return a == b ? "" : path;
}

/// Makes `found`, of a folder's file, equal to `config` in what may grow when a run resumes: the
/// number of rounds, where no round depends on it, and the lists of strategies and seeds.
void take_growth(Json& found, const Json& config, const std::string& where) {
  if (!found.is_object() || !found.contains("run") || !found.at("run").is_object()) return;
  Json& run = found.at("run");
  const Json& now = config.at("run");
  const auto fail = [&](const std::string& key, const std::string& why) {
    throw InputError(where + ": run." + key + why + "; choose another --out");
  };
  if (run.contains("rounds") && run.at("rounds").is_number_integer() &&
      run.at("rounds") != now.at("rounds")) {
    const std::string both =
        " was " + run.at("rounds").dump() + " and is now " + now.at("rounds").dump() + ": ";
    if (run.at("rounds") > now.at("rounds"))
      fail("rounds", both + "rounds can be added, not taken back");
    const auto schedule = now.at("local").at("schedule").get<std::string>();
    if (schedule != experiment::schedules().name(experiment::Schedule::kConstant)) {
      fail("rounds", both + "with run.local.schedule " + schedule +
                         " every round's learning rate depends on their number");
    }
    run["rounds"] = now.at("rounds");
  }
  for (const char* key : {"strategies", "seeds"}) {
    if (!run.contains(key) || !run.at(key).is_array()) continue;
    const Json& list = now.at(key);
    for (const Json& entry : run.at(key)) {
      if (std::find(list.begin(), list.end(), entry) != list.end()) continue;
      const std::string name = entry.is_object() ? entry.value("name", "") : entry.dump();
      fail(key, ": the folder has " + name + ", which is changed or no longer there; " + key +
                    " can be added, not taken back");
    }
    run[key] = list;
  }
}

/// The tensors of a state file, with the bytes that its views point to.
struct StateTensors {
  std::vector<torch::Tensor> on_cpu;
  std::vector<TensorView> views;

  void add(const std::string& name, const torch::Tensor& tensor) {
    on_cpu.push_back(models::plain(tensor));
    const auto& values = on_cpu.back();
    views.push_back({name, Dtype::kF32, values.sizes().vec(), models::bytes_of(values)});
  }
};

/// The tensor `name` of a state file, in the shape and on the device of `like`.
torch::Tensor read_tensor(const SafetensorsFile& file, const std::string& name,
                          const torch::Tensor& like) {
  const auto* entry = file.find(name);
  if (!entry || entry->dtype != Dtype::kF32 || entry->shape != like.sizes().vec()) {
    throw InputError(file.path().string() + ": the weight " + name +
                     " is missing or has another shape than in the model");
  }
  const auto bytes = file.bytes(*entry);
  auto values = torch::empty(like.sizes(), torch::kFloat32);
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(values.data_ptr()));
  return values.to(like.device());
}

// What belongs to weights in the state file; of clients' then the client, '/' and the weight.
const std::string kLocal = "local/", kMemoryOf = "memory/", kControlOf = "control/";
const std::string kFirstMoment = "first_moment/", kSecondMoment = "second_moment/";

void add_of_clients(StateTensors& tensors, const std::string& kind,
                    const std::map<std::string, ModelState>& own) {
  for (const auto& [client, weights] : own) {
    for (const auto& [weight, tensor] : weights) {
      std::string place = kind;
      place.append(client).append("/").append(weight);
      tensors.add(place, tensor);
    }
  }
}

/// No weight's name has a '/', but a client's may.
std::map<std::string, ModelState> read_of_clients(const SafetensorsFile& file,
                                                  const std::string& kind,
                                                  const ModelState& begin) {
  std::map<std::string, ModelState> own;
  for (const auto& entry : file.tensors()) {
    if (!entry.name.starts_with(kind)) continue;
    const auto slash = entry.name.rfind('/');
    const std::string weight = entry.name.substr(slash + 1);
    const auto like = begin.find(weight);
    if (like == begin.end() || slash < kind.size())
      throw InputError(file.path().string() + ": " + entry.name + " is of no weight of the run");
    const std::string client = entry.name.substr(kind.size(), slash - kind.size());
    own[client][weight] = read_tensor(file, entry.name, like->second);
  }
  return own;
}

}  // namespace

void check_run_file(const std::filesystem::path& file, const Json& config, bool resume) {
  Json found = load_yaml(file).root;
  if (resume) take_growth(found, config, file.string());
  const auto difference = first_difference(found, config, "");
  if (!difference.empty()) {
    throw InputError(file.string() + ": the folder holds another run, which differs in " +
                     difference + "; choose another --out");
  }
  if (!resume) {
    throw InputError(file.parent_path().string() +
                     ": the folder already holds this run; --resume continues it, or choose "
                     "another --out");
  }
}

void check_folder(const std::filesystem::path& folder, const std::string& file, const Json& config,
                  bool resume) {
  if (std::filesystem::exists(folder) && !std::filesystem::is_directory(folder))
    throw InputError(folder.string() + ": is a file; a run needs a folder");
  const bool single = file == "config.yaml", there = std::filesystem::exists(folder / file);
  const auto other = folder / (single ? "experiment.yaml" : "config.yaml");
  // An experiment into which a single run grows has both while the run's files are moved.
  if (std::filesystem::exists(other) && (single || !there)) {
    throw InputError(folder.string() + ": the folder holds " +
                     (single ? "an experiment of several runs" : "a single run") +
                     "; choose another --out");
  }
  if (there) return check_run_file(folder / file, config, resume);
  if (!std::filesystem::exists(folder)) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    // A kill in the middle of the very first file leaves its temporary, and the lock's file.
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) continue;
    if (entry.path().filename() == kLockFile) continue;
    // They come before the runs, and answer for themselves.
    if (entry.path().filename() == kTrials || entry.path().filename() == kLearningRates) continue;
    throw InputError(folder.string() + ": the folder is not empty and holds no run (it has \"" +
                     entry.path().filename().string() + "\"); choose another --out");
  }
}

std::string run_folder_name(const std::string& strategy, std::uint64_t seed) {
  return strategy + "-seed" + std::to_string(seed);
}

void move_run(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::create_directories(to, error);
  if (error) throw WorkError(to.string() + ": cannot be made: " + error.message());
  // config.yaml last: as long as it is there, the move is not over.
  for (const char* name : {"rounds", "metrics.csv", kEventFile, "questions.csv", "slices", "model",
                           "state", "run.log", "run.json", "config.yaml"}) {
    if (!std::filesystem::exists(from / name)) continue;
    std::filesystem::rename(from / name, to / name, error);
    if (error) throw WorkError((to / name).string() + ": cannot be written: " + error.message());
  }
}

Json provenance_json() {
  Json root = Json::object();
  for (const auto& [key, value] : provenance()) root[key] = value;
  return root;
}

void remove_temporaries(const std::filesystem::path& folder, bool below) {
  if (!std::filesystem::exists(folder)) return;
  std::vector<std::filesystem::path> left;
  const auto find = [&](const auto& entries) {
    for (const auto& entry : entries) {
      if (entry.path().filename().string().find(".tmp-") != std::string::npos)
        left.push_back(entry.path());
    }
  };
  if (below) {
    find(std::filesystem::recursive_directory_iterator(folder));
  } else {
    find(std::filesystem::directory_iterator(folder));
  }
  for (const auto& file : left) std::filesystem::remove(file);
}

void write_state(const std::filesystem::path& run_folder, const RunState& state) {
  const auto folder = run_folder / "state";
  const std::string name = "round-" + round_number(state.round) + ".safetensors";
  StateTensors tensors;
  for (const auto& [weight, tensor] : state.weights) tensors.add(weight, tensor);
  for (const auto& [weight, moment] : state.moments.first)
    tensors.add(kFirstMoment + weight, moment);
  for (const auto& [weight, moment] : state.moments.second)
    tensors.add(kSecondMoment + weight, moment);
  for (const auto& [weight, control] : state.algorithm.control)
    tensors.add(kControlOf + weight, control);
  add_of_clients(tensors, kLocal, state.local);
  add_of_clients(tensors, kMemoryOf, state.algorithm.memory);
  write_safetensors(folder / name, tensors.views);
  Json root{{"version", 1},
            {"round", state.round},
            {"scored_round", state.scored_round},
            {"changed_units", state.changed_units},
            {"weights", name}};
  if (!state.ranks.empty()) root["ranks"] = state.ranks;
  const std::string archive = "round-" + round_number(state.round) + ".archive.json";
  if (!state.archive.assignments.empty()) {
    write_archive(state.archive, folder / archive);
    root["archive"] = archive;
  }
  write_file(state_file(run_folder), root.dump(1) + "\n");
  remove_older_states(run_folder, state.round);
}

void remove_older_states(const std::filesystem::path& run_folder, int round) {
  const std::string kept = "round-" + round_number(round) + ".";
  for (const auto& entry : std::filesystem::directory_iterator(run_folder / "state")) {
    const auto file = entry.path().filename().string();
    if (file.rfind("round-", 0) == 0 && file.rfind(kept, 0) != 0)
      std::filesystem::remove(entry.path());
  }
}

bool has_state(const std::filesystem::path& run_folder) {
  return std::filesystem::exists(state_file(run_folder));
}

std::optional<RunState> read_state(const std::filesystem::path& run_folder,
                                   const ModelState& begin) {
  if (!has_state(run_folder)) return std::nullopt;
  const auto document = load_json(state_file(run_folder));
  ObjectReader reader(document);
  reader.version(1);
  RunState state;
  state.round = static_cast<int>(reader.integer("round", 1, std::numeric_limits<int>::max()));
  state.scored_round = static_cast<int>(reader.integer("scored_round", 0, state.round));
  state.changed_units = reader.texts("changed_units");
  const SafetensorsFile file(run_folder / "state" / reader.text("weights"));
  ObjectReader ranks = reader.object("ranks");
  for (const auto& client : ranks.keys())
    state.ranks[client] = ranks.integer(client, 1, std::numeric_limits<int>::max());
  if (reader.has("archive"))
    state.archive = read_archive(run_folder / "state" / reader.text("archive"));
  reader.finish();
  for (const auto& [name, tensor] : begin) {
    state.weights[name] = read_tensor(file, name, tensor);
    if (file.find(kFirstMoment + name))
      state.moments.first[name] = read_tensor(file, kFirstMoment + name, tensor);
    if (file.find(kSecondMoment + name))
      state.moments.second[name] = read_tensor(file, kSecondMoment + name, tensor);
    if (file.find(kControlOf + name))
      state.algorithm.control[name] = read_tensor(file, kControlOf + name, tensor);
  }
  state.local = read_of_clients(file, kLocal, begin);
  state.algorithm.memory = read_of_clients(file, kMemoryOf, begin);
  return state;
}

}  // namespace strata::fedrunner
