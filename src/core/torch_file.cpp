#include "core/torch_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_set>

#include "core/document.h"
#include "core/pickle_machine.h"
#include "core/text.h"
#include "core/zip.h"
#include "strata/core/error.h"

namespace strata {
namespace {

constexpr std::size_t kMaxTensors = 100'000;
constexpr std::size_t kMaxDimensions = 64;  // PyTorch's limit
/// Small tensors that are not contiguous may be copied as they like, larger ones to this many times
/// the file's size: views of one storage take few bytes there.
constexpr std::uint64_t kMaxCopies = 4, kCopiesAlwaysAllowed = 1 << 20;

constexpr const char* kHolders[] = {"model", "state_dict", "model_state_dict", "module"};

struct StorageType {
  const char* name;
  Dtype dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", Dtype::kF32}, {"DoubleStorage", Dtype::kF64},    {"HalfStorage", Dtype::kF16},
    {"LongStorage", Dtype::kI64},  {"BFloat16Storage", Dtype::kBF16}, {"IntStorage", Dtype::kI32},
    {"ShortStorage", Dtype::kI16}, {"CharStorage", Dtype::kI8},       {"ByteStorage", Dtype::kU8},
    {"BoolStorage", Dtype::kBool}};

const StorageType* storage_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                                   [&](const StorageType& type) { return name == type.name; });
  return found == std::end(kStorageTypes) ? nullptr : found;
}

bool is_rebuild(const PickleValue::Global& global, std::string_view function) {
  return global.module == "torch._utils" && global.name == function;
}

/// Why a global of the pickle is refused; empty: it is not.
std::string torch_refusal(std::string_view module, std::string_view name) {
  const PickleValue::Global global{module, name};
  if (is_rebuild(global, "_rebuild_tensor_v2") || is_rebuild(global, "_rebuild_parameter"))
    return "";
  if (module == "torch" && storage_type(name)) return "";
  if (module == "torch" && name.ends_with("Storage")) {
    std::vector<std::string> names;
    for (const StorageType& type : kStorageTypes) names.emplace_back(type.name);
    return "a type of numbers that Strata does not read; it reads " + quoted_list(names);
  }
  return "which is no part of a dictionary of tensors, and was not run; if you trust the file, "
         "save its tensors alone in Python: checkpoint = torch.load(FILE, map_location=\"cpu\", "
         "weights_only=False); torch.save(checkpoint[\"model\"], NEW_FILE)";
}

/// The pickle and the storages in the zip.
class TorchArchive {
 public:
  TorchArchive(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {
    // pickle.dumps(0x1950a86a20f9469cfc6c, 2)
    if (bytes.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."))
      fail(
          "it is in the format of PyTorch before 1.6; load it and save it again in Python: "
          "torch.save(torch.load(FILE, map_location=\"cpu\"), NEW_FILE)");
    for (const ZipEntry& entry : read_zip_directory(bytes, file, "PyTorch's checkpoints")) {
      if (!entries_.emplace(entry.name, entry).second)
        fail("two entries " + excerpt(Json(printable(entry.name))) + " in it");
    }
    find_folder();
    const auto order = find("byteorder");
    if (order && *order != "little")
      fail("its numbers are " + excerpt(Json(printable(*order))) +
           "-endian, expected \"little\"; save it again on another machine");
  }

  std::string_view pickle() const { return *find("data.pkl"); }
  /// The bytes of a storage, if there is one.
  std::optional<std::string_view> storage(const std::string& key) const {
    return find("data/" + key);
  }

 private:
  /// All names begin with that of a folder, which is what the file was called at first.
  void find_folder() {
    for (const auto& [name, entry] : entries_) {
      const std::size_t slash = name.find('/');
      if (slash == std::string::npos || name.substr(slash) != "/data.pkl") continue;
      if (!folder_.empty()) fail("two checkpoints in it, each with its data.pkl");
      folder_ = name.substr(0, slash + 1);
    }
    if (folder_.empty()) fail("a zip file without data.pkl, which torch.save writes");
    const auto code = entries_.lower_bound(folder_ + "code/");
    if (entries_.count(folder_ + "constants.pkl") ||
        (code != entries_.end() && code->first.starts_with(folder_ + "code/")))
      fail(
          "it is a program of TorchScript; save its tensors alone in Python: "
          "torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)");
  }

  std::optional<std::string_view> find(const std::string& name) const {
    const auto found = entries_.find(folder_ + name);
    if (found == entries_.end()) return std::nullopt;
    const ZipEntry& entry = found->second;
    if (entry.deflated)
      fail(excerpt(Json(printable(name))) + " in it is compressed, which torch.save never does");
    return bytes_.substr(entry.offset, entry.size);
  }

  /// JSON's texts are UTF-8, a zip's names anything.
  static std::string printable(std::string_view text) {
    std::string out(text);
    for (char& byte : out)
      if (static_cast<unsigned char>(byte) >= 0x80) byte = '?';
    return out;
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": " + message);
  }

  std::string_view bytes_;
  const std::string& file_;
  std::string folder_;  ///< with the slash
  std::map<std::string, ZipEntry> entries_;
};

using Dictionary = PickleValue::Dictionary;

/// What a tensor is called, and the call that would make it.
struct NamedTensor {
  std::string name;
  const PickleValue::Call* call;
};

/// Finds the dictionary of tensors, and those in it.
class TensorFinder {
 public:
  TensorFinder(std::size_t pickle_size, const std::string& file)
      : texts_(pickle_size), file_(file) {}

  std::vector<NamedTensor> find(const PickleValue& root) {
    const Dictionary& dictionary = chosen(root);
    add(dictionary, "", 0);
    if (found_.empty()) fail("there is no tensor in it" + keys_of(dictionary));
    return std::move(found_);
  }

 private:
  const Dictionary& chosen(const PickleValue& root) {
    const auto* at = root.as<Dictionary>();
    if (!at) fail("it holds no dictionary of tensors; save model.state_dict() instead");
    for (int depth = 0; depth <= Pickle::kMaxDepth; ++depth) {
      const Dictionary* next = nullptr;
      std::string_view holder;
      for (const auto& [key, value] : at->entries) {
        const auto* name = key->as<std::string_view>();
        const auto* dictionary = value->as<Dictionary>();
        if (!name || !dictionary ||
            std::count(std::begin(kHolders), std::end(kHolders), *name) == 0)
          continue;
        if (dictionary == next || !holds_tensor(*value)) continue;
        if (next)
          fail("there are tensors under \"" + std::string(holder) + "\" and under \"" +
               std::string(*name) + "\"; save one of these dictionaries alone");
        next = dictionary;
        holder = *name;
      }
      if (!next) return *at;
      at = next;
    }
    too_deep();
  }

  void add(const Dictionary& dictionary, const std::string& prefix, int depth) {
    if (depth > Pickle::kMaxDepth) too_deep();
    for (const auto& [key, value] : dictionary.entries) {
      if (++seen_ > Pickle::kMaxValues)
        fail("more than " + std::to_string(Pickle::kMaxValues) + " values");
      const auto* name = key->as<std::string_view>();
      const auto* call = value->as<PickleValue::Call>();
      const auto* inner = value->as<Dictionary>();
      if (name && call) {
        add_tensor(joined(prefix, *name), call);
      } else if (name && inner) {
        add(*inner, joined(prefix, *name) + ".", depth + 1);
      } else if (holds_tensor(*value)) {
        fail("a tensor under " +
             (name ? excerpt(Json(joined(prefix, *name)))
                   : "a key of " + excerpt(Json(prefix)) + " that is no text") +
             " has no name of its own; save the dictionary of the model's tensors alone" +
             keys_of(dictionary));
      }
    }
  }

  void add_tensor(const std::string& name, const PickleValue::Call* call) {
    if (!names_.insert(name).second) fail("two tensors " + excerpt(Json(name)) + " in it");
    found_.push_back({name, call});
    if (found_.size() > kMaxTensors) fail("more than " + std::to_string(kMaxTensors) + " tensors");
  }

  std::string joined(const std::string& prefix, std::string_view name) {
    if (!texts_.take(prefix.size() + name.size()))
      fail("the names of its tensors are more than " + std::to_string(PickleTexts::kMaxGrowth) +
           " times as long as all that describes them");
    return prefix + std::string(name);
  }

  /// Whether a tensor or a storage is anywhere in a value. What has been seen without is not looked
  /// at again.
  bool holds_tensor(const PickleValue& value) {
    std::vector<const PickleValue*> open = {&value};
    std::unordered_set<const PickleValue*> seen;
    while (!open.empty()) {
      const PickleValue* next = open.back();
      open.pop_back();
      if (next->as<PickleValue::Call>() || next->as<PickleValue::Persistent>()) return true;
      const auto visit = [&](const PickleValue* inner) {
        if (!without_.count(inner) && seen.insert(inner).second) open.push_back(inner);
      };
      if (const auto* list = next->as<PickleValue::List>())
        for (const auto* inner : list->values) visit(inner);
      if (const auto* tuple = next->as<PickleValue::Tuple>())
        for (const auto* inner : tuple->values) visit(inner);
      if (const auto* set = next->as<PickleValue::Set>())
        for (const auto* inner : set->values) visit(inner);
      if (const auto* dictionary = next->as<Dictionary>())
        for (const auto& [key, inner] : dictionary->entries) visit(inner);
    }
    without_.insert(&value);
    without_.merge(seen);
    return false;
  }

  std::string keys_of(const Dictionary& dictionary) const {
    std::vector<std::string> keys;
    for (const auto& [key, value] : dictionary.entries)
      if (const auto* name = key->as<std::string_view>()) {
        const std::string quoted = excerpt(Json(std::string(*name)));
        keys.push_back(quoted.substr(1, quoted.rfind('"') - 1));
      }
    return keys.empty() ? "" : "; there are " + quoted_list(keys);
  }

  [[noreturn]] void too_deep() const {
    fail("dictionaries are nested in more than " + std::to_string(Pickle::kMaxDepth) + " levels");
  }
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": " + message);
  }

  PickleTexts texts_;
  const std::string& file_;
  std::int64_t seen_ = 0;
  std::vector<NamedTensor> found_;
  std::unordered_set<std::string> names_;
  std::unordered_set<const PickleValue*> without_;  ///< values that hold no tensor
};

/// A tensor whose every element is within its storage.
struct CheckedTensor {
  TensorEntry entry;
  TorchLayout layout;
  std::string_view storage;

  std::string_view own_bytes() const {
    return storage.substr(static_cast<std::size_t>(layout.offset) * dtype_size(entry.dtype),
                          entry.byte_count());
  }
};

/// Reads the call that would make a tensor.
class TensorReader {
 public:
  TensorReader(const TorchArchive& archive, const std::string& name, const std::string& file)
      : archive_(archive), what_(file + ": tensor " + excerpt(Json(name)) + ": ") {
    tensor_.entry.name = name;
  }

  CheckedTensor read(const PickleValue::Call& call) {
    const PickleValue::Call* inner = &call;
    if (is_rebuild(*call.callee, "_rebuild_parameter")) {
      const auto& arguments = call.arguments->values;
      if (arguments.size() != 3 || !arguments[1]->as<bool>()) fail("damaged parameter");
      inner = arguments[0]->as<PickleValue::Call>();
      if (!inner) fail("damaged parameter");
      check_hooks(*arguments[2]);
    }
    if (!is_rebuild(*inner->callee, "_rebuild_tensor_v2"))
      fail("it is made by " + excerpt(Json(std::string(inner->callee->name))) +
           ", expected _rebuild_tensor_v2");
    const auto& arguments = inner->arguments->values;
    if (arguments.size() < 6 || arguments.size() > 7 || !arguments[4]->as<bool>())
      fail("damaged: _rebuild_tensor_v2 with other than its 6 or 7 arguments");
    check_hooks(*arguments[5]);
    if (arguments.size() == 7) check_metadata(*arguments[6]);
    const std::int64_t stored = read_storage(*arguments[0]);
    tensor_.layout.offset = number(*arguments[1], "the offset");
    tensor_.entry.shape = numbers(*arguments[2], "the shape");
    tensor_.layout.strides = numbers(*arguments[3], "the strides");
    check_within(stored);
    tensor_.layout.contiguous = is_contiguous();
    return std::move(tensor_);
  }

 private:
  void check_hooks(const PickleValue& hooks) const {
    const auto* dictionary = hooks.as<Dictionary>();
    if (!dictionary || !dictionary->entries.empty()) fail("it has hooks, which are not read");
  }

  /// Whether it is a conjugate or negated view, where it is one.
  void check_metadata(const PickleValue& metadata) const {
    const auto* dictionary = metadata.as<Dictionary>();
    if (!metadata.as<PickleValue::None>() && !(dictionary && dictionary->entries.empty()))
      fail("it is a negated or conjugate view; save tensor.clone() instead");
  }

  /// Returns its number of elements.
  std::int64_t read_storage(const PickleValue& value) {
    const auto* persistent = value.as<PickleValue::Persistent>();
    const auto* id = persistent ? persistent->id->as<PickleValue::Tuple>() : nullptr;
    if (!id || id->values.size() != 5) fail("damaged: it has no storage");
    const auto* kind = id->values[0]->as<std::string_view>();
    const auto* type = id->values[1]->as<PickleValue::Global>();
    const auto* key = id->values[2]->as<std::string_view>();
    const auto* known = type && type->module == "torch" ? storage_type(type->name) : nullptr;
    if (!kind || *kind != "storage" || !known || !key) fail("damaged: it has no storage");
    const std::int64_t count = number(*id->values[4], "the storage's size");
    tensor_.entry.dtype = known->dtype;
    tensor_.layout.storage = *key;
    const auto bytes = archive_.storage(tensor_.layout.storage);
    const std::string storage = "its storage " + excerpt(Json(std::string(*key)));
    if (!bytes) fail(storage + " is not in the file");
    if (bytes->size() % dtype_size(known->dtype) != 0 ||
        bytes->size() / dtype_size(known->dtype) != static_cast<std::uint64_t>(count))
      fail(storage + " has " + std::to_string(bytes->size()) + " bytes, but " +
           std::to_string(count) + " elements of " + dtype_name(known->dtype) + " are expected");
    tensor_.storage = *bytes;
    return count;
  }

  std::int64_t number(const PickleValue& value, const char* name) const {
    const auto* number = value.as<std::int64_t>();
    if (!number) fail(std::string("damaged: ") + name + " is no whole number");
    if (*number < 0)
      fail(std::string(name) + " holds " + std::to_string(*number) + ", expected at least 0");
    return *number;
  }

  std::vector<std::int64_t> numbers(const PickleValue& value, const char* name) const {
    const auto* tuple = value.as<PickleValue::Tuple>();
    if (!tuple) fail(std::string("damaged: ") + name + " is no tuple");
    if (tuple->values.size() > kMaxDimensions)
      fail(std::string(name) + " has " + std::to_string(tuple->values.size()) +
           " numbers, expected at most " + std::to_string(kMaxDimensions));
    std::vector<std::int64_t> out;
    for (const auto* element : tuple->values) out.push_back(number(*element, name));
    return out;
  }

  /// Every element is one of the storage's, and their number and that of their bytes are numbers.
  void check_within(std::int64_t stored) const {
    const auto& shape = tensor_.entry.shape;
    const auto& strides = tensor_.layout.strides;
    if (shape.size() != strides.size())
      fail("the shape " + shape_text(shape) + " has other dimensions than the strides " +
           shape_text(strides));
    auto bytes = static_cast<std::int64_t>(dtype_size(tensor_.entry.dtype));
    std::int64_t last = tensor_.layout.offset;
    bool overflow = false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      overflow |= __builtin_mul_overflow(bytes, shape[i], &bytes);
      std::int64_t step = 0;
      if (shape[i] == 0) continue;
      overflow |= __builtin_mul_overflow(shape[i] - 1, strides[i], &step);
      overflow |= __builtin_add_overflow(last, step, &last);
    }
    const bool empty = bytes == 0;
    if (overflow || (empty ? tensor_.layout.offset > stored : last >= stored))
      fail("shape " + shape_text(shape) + ", strides " + shape_text(strides) + " and offset " +
           std::to_string(tensor_.layout.offset) + " leave its storage of " +
           std::to_string(stored) + " elements");
  }

  bool is_contiguous() const {
    const auto& shape = tensor_.entry.shape;
    std::int64_t expected = 1;
    if (std::count(shape.begin(), shape.end(), 0) > 0) return true;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && tensor_.layout.strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }

  [[noreturn]] void fail(const std::string& message) const { throw InputError(what_ + message); }

  const TorchArchive& archive_;
  std::string what_;
  CheckedTensor tensor_;
};

/// The elements of a tensor with a dimension or more, none of them of no extent, one after another.
std::string gathered(const CheckedTensor& tensor) {
  const auto& shape = tensor.entry.shape;
  const auto& strides = tensor.layout.strides;
  const std::size_t size = dtype_size(tensor.entry.dtype);
  std::string out;
  out.reserve(tensor.entry.byte_count());
  std::vector<std::int64_t> at(shape.size(), 0);
  std::int64_t element = tensor.layout.offset;
  for (;;) {
    out.append(tensor.storage.data() + static_cast<std::size_t>(element) * size, size);
    std::size_t dimension = shape.size();
    while (dimension-- > 0) {
      if (++at[dimension] < shape[dimension]) {
        element += strides[dimension];
        break;
      }
      element -= strides[dimension] * (shape[dimension] - 1);
      at[dimension] = 0;
    }
    if (dimension == static_cast<std::size_t>(-1)) return out;
  }
}

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path)
    : path_(path), mapping_(std::make_unique<const MappedFile>(path)) {
  read(mapping_->bytes());
}

TorchFile::TorchFile(std::string bytes, const std::string& name)
    : path_(name), given_(std::make_unique<const std::string>(std::move(bytes))) {
  read(*given_);
}

void TorchFile::read(std::string_view bytes) {
  const std::string file = path_.string();
  const TorchArchive archive(bytes, file);
  const std::string_view description = archive.pickle();
  const Pickle pickle(description, file,
                      {.objects = true, .of = "dictionaries of tensors", .refusal = torch_refusal});
  std::uint64_t copies = 0;
  std::map<std::string, std::size_t> first_of;  // by storage
  for (const NamedTensor& named : TensorFinder(description.size(), file).find(pickle.root())) {
    const CheckedTensor tensor = TensorReader(archive, named.name, file).read(*named.call);
    if (tensor.layout.contiguous) {
      bytes_.push_back(tensor.own_bytes());
    } else {
      copies += tensor.entry.byte_count();
      if (tensor.entry.byte_count() > bytes.size() * kMaxCopies + kCopiesAlwaysAllowed ||
          copies > bytes.size() * kMaxCopies + kCopiesAlwaysAllowed)
        throw InputError(file + ": tensor " + excerpt(Json(named.name)) +
                         ": tensors that are not contiguous make more than " +
                         std::to_string(kMaxCopies) +
                         " times the file's size; save tensor.contiguous() instead");
      gathered_.push_back(gathered(tensor));
      bytes_.push_back(gathered_.back());
    }
    index_.emplace(named.name, tensors_.size());
    tensors_.push_back(tensor.entry);
    layouts_.push_back(tensor.layout);
    const auto [first, alone] = first_of.emplace(tensor.layout.storage, layouts_.size() - 1);
    if (!alone) layouts_.back().shared = layouts_[first->second].shared = true;
  }
}

const TensorEntry* TorchFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::string_view TorchFile::bytes(const TensorEntry& entry) const {
  return bytes_[index_.at(entry.name)];
}

const TorchLayout& TorchFile::layout(const TensorEntry& entry) const {
  return layouts_[index_.at(entry.name)];
}

}  // namespace strata
