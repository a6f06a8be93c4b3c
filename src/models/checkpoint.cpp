#include "models/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/document.h"
#include "core/text.h"
#include "models/nf4.h"
#include "models/short_weights.h"
#include "models/tensor_bytes.h"
#include "models/torch.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

using torch::Tensor;

bool is_float(Dtype dtype) {
  return dtype == Dtype::kF16 || dtype == Dtype::kBF16 || dtype == Dtype::kF32 ||
         dtype == Dtype::kF64;
}

/// As config.json calls a float type.
std::string config_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF16:
      return "float16";
    case Dtype::kBF16:
      return "bfloat16";
    case Dtype::kF64:
      return "float64";
    default:
      return "float32";
  }
}

/// A tensor of a file in its type: its mapped pages, which the tensor keeps, where they are
/// aligned, which the formats do not promise, and no other tensor's, which would change with it.
Tensor whole_tensor_of(const Checkpoint::Found& found) {
  const auto type = scalar_type(found.entry->dtype);
  const std::string_view bytes = found.bytes();
  const bool aligned =
      reinterpret_cast<std::uintptr_t>(bytes.data()) % dtype_size(found.entry->dtype) == 0;
  if (aligned && !bytes.empty() && !found.file->shares(*found.entry)) {
    // from_blob wants memory that may be written to, as a private mapping's may.
    return torch::from_blob(
        const_cast<char*>(bytes.data()), found.entry->shape, [file = found.file](void*) {}, type);
  }
  Tensor tensor = torch::empty(found.entry->shape, type);
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

/// The rows of a checked parameter.
Tensor tensor_of(const Checkpoint::Found& found) {
  const Tensor whole = whole_tensor_of(found);
  if (found.share.parts == 1) return whole;
  const std::int64_t rows = whole.size(0) / found.share.parts;
  return whole.narrow(0, found.share.part * rows, rows);
}

/// Whether a tensor still has the numbers of a file's, a piece at a time.
bool has_numbers_of(const Tensor& tensor, const Tensor& in_file) {
  if (tensor.sizes() != in_file.sizes()) return false;
  if (tensor.is_cpu() && tensor.data_ptr() == in_file.data_ptr()) return true;
  constexpr std::int64_t kPiece = 1 << 20;
  const Tensor now = tensor.detach().flatten(), before = in_file.flatten();
  for (std::int64_t begin = 0; begin < now.numel(); begin += kPiece) {
    const std::int64_t size = std::min(kPiece, now.numel() - begin);
    const Tensor piece = plain(now.narrow(0, begin, size));
    if (bytes_of(piece) != bytes_of(plain(before.narrow(0, begin, size)))) return false;
  }
  return true;
}

/// A buffer that older transformers wrote, and what PEFT keeps of a module from before it was
/// trained: no parameters.
bool is_let_pass(const std::string& name) {
  return name.ends_with("position_ids") || name.find(".original_module.") != std::string::npos;
}

/// A tensor of a file as it is written again.
struct Rewritten {
  const TensorEntry* old;  ///< nullptr: the file did not hold it
  TensorEntry entry;
  /// As the model has it: the parameters whose rows it has; empty of what is no parameter.
  std::vector<const Tensor*> weights = {};
  bool changed = false;                                ///< else the old bytes
  std::shared_ptr<const TensorFile> lender = nullptr;  ///< that has them, of another folder
};

bool all_aligned(const std::vector<Rewritten>& tensors) {
  std::uint64_t begin = 0;
  return std::all_of(tensors.begin(), tensors.end(), [&](const Rewritten& tensor) {
    const bool aligned = begin % dtype_size(tensor.entry.dtype) == 0;
    begin += tensor.entry.byte_count();
    return aligned;
  });
}

/// A tensor of files as the model has it.
struct Current {
  /// The parameters whose rows it has, one under the other; empty: as the file has it.
  std::vector<const Tensor*> tensors = {};
  const std::string* name = nullptr;  ///< to write it under; nullptr: its own
};

/// Where files may have a layer's parameter within a tensor of several layers'.
Share share_of(const Layer& layer, const Parameter& parameter) {
  Share share = layer.share;
  share.name += parameter.name.substr(layer.name.size());
  return share;
}

/// Whether any of the parameters no longer has the numbers that the file's tensor has in its place.
bool has_changed(const std::vector<const Tensor*>& weights,
                 const std::shared_ptr<const TensorFile>& file, const TensorEntry& entry) {
  const auto parts = static_cast<std::int64_t>(weights.size());
  for (std::int64_t part = 0; part < parts; ++part) {
    const Checkpoint::Found found{file, &entry, {entry.name, part, parts}};
    if (!has_numbers_of(*weights[static_cast<std::size_t>(part)], tensor_of(found))) return true;
  }
  return false;
}

/// The parameters' numbers, one under the other.
Tensor joined_rows(const std::vector<const Tensor*>& weights) {
  if (weights.size() == 1) return plain(*weights.front());
  std::vector<Tensor> parts;
  for (const Tensor* weight : weights) parts.push_back(plain(*weight));
  return torch::cat(parts);
}

/// What becomes of a file's tensors when those in `current`, by their names in files, may have
/// changed. Those in `shards` are left out, and the others added to it, with the file's name; last
/// come `further` ones.
std::vector<Rewritten> rewrite(const std::shared_ptr<const TensorFile>& file,
                               const std::map<std::string, Current>& current,
                               const std::vector<Rewritten>& further,
                               std::map<std::string, std::string>& shards) {
  std::vector<Rewritten> all;
  bool any = !further.empty();
  for (const TensorEntry& entry : file->tensors()) {
    const auto found = current.find(entry.name);
    if (found == current.end() && !is_let_pass(entry.name)) continue;
    const bool renamed = found != current.end() && found->second.name;
    const std::string& name = renamed ? *found->second.name : entry.name;
    // Two names of one parameter may be one from now on.
    if (!shards.emplace(name, file->written_name()).second) continue;
    all.push_back({.old = &entry, .entry = entry});
    all.back().entry.name = name;
    if (found == current.end() || found->second.tensors.empty()) continue;
    all.back().weights = found->second.tensors;
    if (!has_changed(found->second.tensors, file, entry)) continue;
    const Tensor& tensor = *found->second.tensors.front();
    any = true;
    all.back().changed = true;
    all.back().entry.dtype = tensor.is_floating_point() ? Dtype::kF32 : Dtype::kI64;
    // What shares a tensor keeps its shape.
    if (found->second.tensors.size() == 1) all.back().entry.shape = tensor.sizes().vec();
  }
  for (const Rewritten& tensor : further) {
    shards.emplace(tensor.entry.name, file->written_name());
    all.push_back(tensor);
  }
  if ((any || file->format() == FileFormat::kPyTorch) && !all_aligned(all)) {
    std::stable_sort(all.begin(), all.end(), [](const Rewritten& a, const Rewritten& b) {
      return dtype_size(a.entry.dtype) > dtype_size(b.entry.dtype);
    });
  }
  return all;
}

void write_rewritten(const TensorFile& file, const std::vector<Rewritten>& tensors,
                     const std::filesystem::path& path) {
  std::vector<TensorEntry> entries;
  for (const Rewritten& tensor : tensors) entries.push_back(tensor.entry);
  // transformers 4 refuses files that do not say this.
  auto metadata = file.metadata();
  metadata.emplace("format", "pt");
  Tensor now;  // what is being written
  const auto bytes = [&](std::size_t i) {
    if (i > 0) {
      for (const Tensor* weight : tensors[i - 1].weights) release_pages(*weight);
    }
    const TensorFile& holder = tensors[i].lender ? *tensors[i].lender : file;
    if (!tensors[i].changed) return holder.bytes(*tensors[i].old);
    now = joined_rows(tensors[i].weights);
    return bytes_of(now);
  };
  write_safetensors(path, entries, bytes, metadata);
}

/// The parameters that no file of `source`'s folder holds.
std::vector<Rewritten> further_ones(const Checkpoint& source,
                                    const std::vector<StoredParameter>& parameters,
                                    const std::map<std::string, Tensor>& from, Names names) {
  std::vector<Rewritten> all;
  for (const StoredParameter& own : parameters) {
    const Parameter& parameter = own.parameter;
    const Checkpoint::Found found = source.find(own);
    if (parameter.counter || (found && !found.lent)) continue;
    const std::string& name = names == Names::kLast ? own.names.back() : parameter.name;
    all.push_back(
        {.old = nullptr,
         .entry = TensorEntry{.name = name, .dtype = Dtype::kF32, .shape = parameter.shape},
         .weights = {&from.at(parameter.name)},
         .changed = true});
    if (!found || has_changed(all.back().weights, found.file, *found.entry)) continue;
    all.back().old = found.entry;
    all.back().lender = found.file;
    all.back().entry.dtype = found.entry->dtype;
    all.back().changed = false;
  }
  return all;
}

/// The index of shards that have so many bytes more, which it says where it said how many they had,
/// and, unless `shards` is empty, these names.
std::string changed_index(const std::string& index, std::int64_t more,
                          const std::map<std::string, std::string>& shards) {
  if (more == 0 && shards.empty()) return index;
  Json json = parse_json(index, kIndexFile).root;
  if (!shards.empty()) json["weight_map"] = shards;
  const auto metadata = json.find("metadata");
  if (metadata != json.end() && metadata->is_object() && metadata->contains("total_size") &&
      (*metadata)["total_size"].is_number_integer())
    (*metadata)["total_size"] = (*metadata)["total_size"].get<std::int64_t>() + more;
  return json.dump(2) + "\n";
}

/// What bitsandbytes writes beside a weight of 4 bits, behind its name.
constexpr const char* kQuantState = ".quant_state.bitsandbytes__nf4";
constexpr const char* kNf4Parts[] = {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
                                     kQuantState};

bool holds_nf4(const Checkpoint& checkpoint, const Checkpoint::Found& found) {
  return found.entry->dtype == Dtype::kU8 && checkpoint.find(found.entry->name + kQuantState);
}

/// Of an entry that is such a weight.
Nf4Parts nf4_parts(const Checkpoint& checkpoint, const Checkpoint::Found& found) {
  const std::string& name = found.entry->name;
  const auto part = [&](const char* ending) {
    const auto own = checkpoint.find(name + ending);
    return own ? tensor_of(own) : Tensor();
  };
  return {.codes = tensor_of(found),
          .quant_map = part(".quant_map"),
          .absmax = part(".absmax"),
          .nested_absmax = part(".nested_absmax"),
          .nested_quant_map = part(".nested_quant_map"),
          .quant_state = std::string(checkpoint.find(name + kQuantState).bytes())};
}

void check_entry(const Checkpoint::Found& found, const Parameter& parameter,
                 const std::string& config_file) {
  const TensorEntry& entry = *found.entry;
  const std::string what = found.file->path().string() + ": the weight \"" + entry.name + "\" has ";
  Shape shape = parameter.shape;
  if (found.share.parts > 1) shape.front() *= found.share.parts;
  if (entry.shape != shape) {
    throw InputError(what + "shape " + shape_text(entry.shape) + ", but " + config_file +
                     " asks for " + shape_text(shape));
  }
  const bool fits = parameter.counter ? entry.dtype == Dtype::kI64 : is_float(entry.dtype);
  if (!fits) {
    throw InputError(what + "type " + dtype_name(entry.dtype) + ", but " +
                     (parameter.counter ? "I64" : "F32, F16, BF16 or F64") + " is needed");
  }
}

}  // namespace

std::vector<StoredParameter> stored(const std::vector<Parameter>& parameters) {
  std::vector<StoredParameter> all;
  for (const Parameter& parameter : parameters) all.push_back({parameter, {parameter.name}});
  return all;
}

std::vector<StoredParameter> stored(const std::vector<Layer>& layers) {
  std::vector<StoredParameter> all;
  for (const Layer& layer : layers) {
    for (const auto* own : {&layer.parameters, &layer.buffers}) {
      for (const Parameter& parameter : *own) {
        all.push_back({parameter, {parameter.name}});
        if (layer.share.only) all.back().share = share_of(layer, parameter);
      }
    }
  }
  return all;
}

std::vector<StoredParameter> readable(const std::vector<Layer>& layers) {
  std::vector<StoredParameter> all;
  for (const Layer& layer : layers) {
    for (StoredParameter& own : stored(std::vector<Layer>{layer})) {
      if (!layer.renamed.empty())
        own.names.push_back(layer.renamed + own.parameter.name.substr(layer.name.size()));
      for (const std::string& alias : layer.aliases)
        own.names.push_back(alias + own.parameter.name.substr(layer.name.size()));
      if (!layer.share.name.empty()) own.share = share_of(layer, own.parameter);
      all.push_back(std::move(own));
    }
  }
  return all;
}

Checkpoint::Checkpoint(const std::filesystem::path& file)
    : Checkpoint(file, FileFormat::kSafetensors) {}

Checkpoint::Checkpoint(const std::filesystem::path& file, FileFormat format)
    : name_(file.string()) {
  files_.push_back(std::make_shared<const TensorFile>(file, format));
}

Checkpoint Checkpoint::of_folder(const std::filesystem::path& folder,
                                 const std::optional<LentWeights>& lent) {
  using std::filesystem::exists;
  Checkpoint checkpoint;
  if (exists(folder / kWeightsFile)) {
    checkpoint = Checkpoint(folder / kWeightsFile);
  } else if (exists(folder / kIndexFile)) {
    checkpoint.read_index(folder / kIndexFile, FileFormat::kSafetensors);
  } else if (exists(folder / kTorchWeightsFile)) {
    checkpoint = Checkpoint(folder / kTorchWeightsFile, FileFormat::kPyTorch);
  } else if (exists(folder / kTorchIndexFile)) {
    checkpoint.read_index(folder / kTorchIndexFile, FileFormat::kPyTorch);
  } else {
    checkpoint = Checkpoint(folder / kWeightsFile);  // says that it is not there
  }
  const auto config = folder / "config.json";
  if (exists(config)) checkpoint.config_ = read_file(config);
  if (lent) checkpoint.borrow(*lent);
  return checkpoint;
}

void Checkpoint::borrow(const LentWeights& lent) {
  for (const auto& file : files_)
    for (const TensorEntry& entry : file->tensors())
      if (entry.name.starts_with(lent.prefix)) return;
  lent_ = lent;
  if (std::filesystem::exists(lent.folder)) lent_files_ = of_folder(lent.folder).files_;
}

void Checkpoint::read_index(const std::filesystem::path& index, FileFormat format) {
  const auto folder = index.parent_path();
  name_ = index.string();
  index_ = read_file(index);
  const Document document = parse_json(index_, name_);
  ObjectReader reader(document);
  ObjectReader map = reader.object("weight_map", true);
  std::map<std::string, std::shared_ptr<const TensorFile>> shards;
  for (const std::string& weight : map.keys()) {
    const std::string shard = map.text(weight);
    auto& file = shards[shard];
    if (!file) {
      if (shard.find('/') != std::string::npos)
        map.fail(weight, "\"" + shard + "\" is not a file's name");
      // Under other names two of them might be written into one, or into model.safetensors.
      if (format == FileFormat::kPyTorch &&
          (!shard.starts_with("pytorch_model-") || !shard.ends_with(".bin")))
        map.fail(weight, "\"" + shard + "\" is not a name such as \"pytorch_model-00001.bin\"");
      if (!std::filesystem::exists(folder / shard))
        map.fail(weight, "the shard \"" + shard + "\" is not in the folder");
      file = std::make_shared<const TensorFile>(folder / shard, format);
      files_.push_back(file);
    }
    if (!file->find(weight)) map.fail(weight, "the shard \"" + shard + "\" does not hold it");
  }
  if (files_.empty()) reader.fail("weight_map", "it names no weight");
}

Checkpoint::Found Checkpoint::find(const std::string& name) const {
  for (const auto& file : files_) {
    if (const TensorEntry* entry = file->find(name)) return {file, entry};
  }
  return find_lent(name);
}

Checkpoint::Found Checkpoint::find_lent(const std::string& name) const {
  if (!lent_ || !name.starts_with(lent_->prefix)) return {};
  const std::string rest = name.substr(lent_->prefix.size());
  for (const std::string& prefix : lent_->prefixes) {
    for (const auto& file : lent_files_) {
      if (const TensorEntry* entry = file->find(prefix + rest))
        return {.file = file, .entry = entry, .lent = true};
    }
  }
  return {};
}

void Checkpoint::missing(const std::string& name) const {
  std::string message = name_ + ": the weight \"" + name + "\" is missing";
  if (lent_ && name.starts_with(lent_->prefix)) {
    message += ", and so it is in " + lent_->folder.string() + ": put the folder of \"" +
               lent_->name + "\" there, with its config.json and weights";
  }
  throw InputError(message);
}

Checkpoint::Found Checkpoint::find(const StoredParameter& parameter) const {
  for (const std::string& name : parameter.names) {
    if (const Found found = find(name)) return found;
  }
  if (parameter.share.name.empty()) return {};
  Found found = find(parameter.share.name);
  found.share = parameter.share;
  return found;
}

std::uint64_t Checkpoint::byte_count() const {
  std::uint64_t bytes = 0;
  for (const auto* files : {&files_, &lent_files_}) {
    for (const auto& file : *files)
      for (const TensorEntry& entry : file->tensors()) bytes += entry.byte_count();
  }
  return bytes;
}

void Checkpoint::check(const std::vector<StoredParameter>& parameters,
                       const std::string& config_file,
                       const std::vector<std::string>& passed_over) const {
  std::vector<std::string> names;
  for (const StoredParameter& parameter : parameters) {
    names.insert(names.end(), parameter.names.begin(), parameter.names.end());
    if (!parameter.share.name.empty()) names.push_back(parameter.share.name);
  }
  const auto passes = [&](const std::string& name) {
    return is_let_pass(name) ||
           std::any_of(passed_over.begin(), passed_over.end(),
                       [&](const auto& start) { return name.starts_with(start); });
  };

  // Unknown names first: a misspelt weight is both unknown and missing, and only this message can
  // say so.
  std::set<std::string> known(names.begin(), names.end());
  for (const std::string& name : names) {
    const Found found = find(name);
    if (!found || found.entry->dtype != Dtype::kU8) continue;
    for (const char* part : kNf4Parts) known.insert(name + part);
  }
  for (const auto& file : files_) {
    for (const TensorEntry& entry : file->tensors()) {
      if (known.count(entry.name) == 0 && !passes(entry.name)) {
        throw InputError(file->path().string() + ": unknown weight \"" + entry.name + "\"" +
                         did_you_mean(entry.name, names));
      }
    }
  }
  for (const StoredParameter& parameter : parameters) {
    Found first;
    for (const std::string& name : parameter.names) {
      const Found found = find(name);
      if (!found) continue;
      const std::string path = found.file->path().string();
      if (!holds_nf4(*this, found)) check_entry(found, parameter.parameter, config_file);
      if (first && (first.entry->dtype != found.entry->dtype || first.bytes() != found.bytes())) {
        throw InputError(path + ": \"" + first.entry->name + "\" and \"" + name +
                         "\" are two names of one weight, but their numbers differ");
      }
      first = found;
    }
    if (first || parameter.parameter.counter) continue;
    const Found shared = find(parameter);
    if (!shared) missing(parameter.names.front());
    check_entry(shared, parameter.parameter, config_file);
  }
}

void read_parameters(const Checkpoint& checkpoint, const std::vector<StoredParameter>& parameters,
                     Numbers numbers, const c10::Device& device,
                     std::map<std::string, Tensor>& into) {
  for (const StoredParameter& parameter : parameters) {
    const Checkpoint::Found found = checkpoint.find(parameter);
    if (!found) {  // a counter
      into[parameter.parameter.name] =
          torch::zeros(parameter.parameter.shape, torch::kLong).to(device);
      continue;
    }
    if (holds_nf4(checkpoint, found)) {
      const Tensor weight =
          nf4_weight(nf4_parts(checkpoint, found), parameter.parameter.shape,
                     found.file->path().string() + ": the weight \"" + found.entry->name + "\"");
      into[parameter.parameter.name] =
          (numbers == Numbers::kAsStored ? weight : nf4_numbers(weight)).to(device);
      continue;
    }
    const Tensor tensor = tensor_of(found);
    const bool stays = numbers == Numbers::kAsStored && is_short(tensor);
    into[parameter.parameter.name] = tensor.to(device, parameter.parameter.counter ? torch::kLong
                                                       : stays ? tensor.scalar_type()
                                                               : torch::kFloat);
  }
}

void write_parameters(const std::filesystem::path& file,
                      const std::vector<StoredParameter>& parameters,
                      const std::map<std::string, Tensor>& from) {
  std::vector<TensorEntry> entries;
  std::vector<std::vector<const Tensor*>> tensors;
  std::map<std::string, std::size_t> shared;
  for (const StoredParameter& parameter : parameters) {
    const Dtype type = parameter.parameter.counter ? Dtype::kI64 : Dtype::kF32;
    const Share& share = parameter.share;
    const Tensor* tensor = &from.at(parameter.parameter.name);
    const auto add = [&](const std::string& name) {
      entries.push_back({.name = name, .dtype = type, .shape = parameter.parameter.shape});
      tensors.push_back({tensor});
    };
    if (!share.only) {
      for (const std::string& name : parameter.names) add(name);
    } else if (const auto first = shared.emplace(share.name, entries.size()); first.second) {
      add(share.name);
      entries.back().shape.front() *= share.parts;
    } else {
      tensors[first.first->second].push_back(tensor);
    }
  }
  Tensor now;  // what is being written
  const auto bytes = [&](std::size_t i) {
    now = joined_rows(tensors[i]);
    return bytes_of(now);
  };
  write_safetensors(file, entries, bytes, {{"format", "pt"}});
}

std::string write_like(const Checkpoint& source, const std::filesystem::path& folder,
                       const std::vector<StoredParameter>& parameters,
                       const std::map<std::string, Tensor>& from, Names names) {
  std::map<std::string, Current> current;
  for (const StoredParameter& parameter : parameters) {
    const Tensor& tensor = from.at(parameter.parameter.name);
    const bool packed = is_nf4(tensor);  // it and its parts stay as they are
    for (const std::string& name : parameter.names) {
      current[name] = {{&tensor},
                       names == Names::kOfParameters ? &parameter.parameter.name : &name};
      if (!packed) continue;
      current[name] = {};
      for (const char* part : kNf4Parts) current[name + part] = {};
    }
    if (parameter.share.name.empty()) continue;
    auto& parts = current[parameter.share.name].tensors;
    parts.resize(static_cast<std::size_t>(parameter.share.parts));
    parts[static_cast<std::size_t>(parameter.share.part)] = &tensor;
  }
  std::set<Dtype> types;
  std::map<std::string, std::string> shards;  // by the names that they hold
  const std::vector<Rewritten> further = further_ones(source, parameters, from, names);
  bool renamed = false;
  std::int64_t grown = 0;
  for (const auto& file : source.files()) {
    for (const TensorEntry& entry : file->tensors())
      grown -= static_cast<std::int64_t>(entry.byte_count());
    const std::vector<Rewritten> rewritten = rewrite(
        file, current, file == source.files().back() ? further : std::vector<Rewritten>(), shards);
    for (const Rewritten& tensor : rewritten) {
      if (!tensor.weights.empty() && is_float(tensor.entry.dtype)) types.insert(tensor.entry.dtype);
      grown += static_cast<std::int64_t>(tensor.entry.byte_count());
      renamed |= !tensor.old || tensor.old->name != tensor.entry.name;
    }
    renamed |= rewritten.size() != file->tensors().size();
    renamed |= file->written_name() != file->path().filename();
    if (!rewritten.empty()) write_rewritten(*file, rewritten, folder / file->written_name());
  }
  if (!renamed) shards.clear();
  if (!source.index().empty())
    write_file(folder / kIndexFile, changed_index(source.index(), grown, shards));
  std::filesystem::remove(folder / (source.index().empty() ? kIndexFile : kWeightsFile));
  return types.size() == 1 ? config_name(*types.begin()) : config_name(Dtype::kF32);
}

}  // namespace strata::models
