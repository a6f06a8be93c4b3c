#include "strata/core/safetensors.h"

#include <algorithm>

#include "core/document.h"
#include "core/mapped_file.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata {
namespace {

struct DtypeInfo {
  Dtype dtype;
  const char* name;
  std::size_t size;
};
constexpr DtypeInfo kDtypes[] = {{Dtype::kBool, "BOOL", 1}, {Dtype::kU8, "U8", 1},
                                 {Dtype::kI8, "I8", 1},     {Dtype::kI16, "I16", 2},
                                 {Dtype::kI32, "I32", 4},   {Dtype::kI64, "I64", 8},
                                 {Dtype::kF16, "F16", 2},   {Dtype::kBF16, "BF16", 2},
                                 {Dtype::kF32, "F32", 4},   {Dtype::kF64, "F64", 8}};

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kLengthBytes = 8;

[[noreturn]] void too_short(const std::string& file, std::size_t size) {
  throw InputError(file + ": has " + std::to_string(size) +
                   " bytes; a safetensors file begins with 8 bytes of header length");
}

TensorEntry read_entry(ObjectReader reader, const std::string& name, const std::string& file,
                       std::uint64_t data_size) {
  const auto fail = [&](const std::string& message) {
    throw InputError(file + ": tensor \"" + name + "\": " + message);
  };
  TensorEntry entry;
  entry.name = name;
  const std::string dtype = reader.text("dtype");
  const auto* info =
      std::find_if(std::begin(kDtypes), std::end(kDtypes),
                   [&](const DtypeInfo& candidate) { return dtype == candidate.name; });
  if (info == std::end(kDtypes)) {
    std::vector<std::string> names;
    for (const auto& known : kDtypes) names.emplace_back(known.name);
    fail("the dtype \"" + dtype + "\" is not one of " + quoted_list(names));
  }
  entry.dtype = info->dtype;
  const Json& shape = reader.raw("shape");
  if (!shape.is_array()) fail("the shape is not a list");
  std::uint64_t bytes = info->size;
  for (const auto& extent : shape) {
    if (!extent.is_number_unsigned() ||
        extent.get<std::uint64_t>() >
            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      fail("the shape holds " + excerpt(extent) + "; extents are whole numbers of at least 0");
    entry.shape.push_back(static_cast<std::int64_t>(extent.get<std::uint64_t>()));
    if (__builtin_mul_overflow(bytes, extent.get<std::uint64_t>(), &bytes))
      fail("the shape " + excerpt(shape) + " overflows 64 bits");
  }
  const Json& offsets = reader.raw("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    fail("data_offsets must be two whole numbers, found " + excerpt(offsets));
  entry.begin = offsets[0].get<std::uint64_t>();
  entry.end = offsets[1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_size)
    fail("data_offsets " + excerpt(offsets) + " leave the file's " + std::to_string(data_size) +
         " bytes of data");
  if (entry.end - entry.begin != bytes)
    fail("data_offsets " + excerpt(offsets) + " span " + std::to_string(entry.end - entry.begin) +
         " bytes, but " + dtype + " × " + excerpt(shape) + " needs " + std::to_string(bytes));
  reader.finish();
  return entry;
}

}  // namespace

std::size_t dtype_size(Dtype dtype) {
  return kDtypes[static_cast<int>(dtype)].size;
}
const char* dtype_name(Dtype dtype) {
  return kDtypes[static_cast<int>(dtype)].name;
}

std::int64_t TensorEntry::element_count() const {
  std::int64_t count = 1;
  for (const auto extent : shape) count *= extent;
  return count;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path), mapping_(std::make_unique<const MappedFile>(path)) {
  const std::string_view bytes = mapping_->bytes();
  if (bytes.size() < kLengthBytes) too_short(path.string(), bytes.size());
  read(bytes.data(), bytes.size());
}

SafetensorsFile::SafetensorsFile(std::string bytes, const std::string& name)
    : path_(name), given_(std::make_unique<const std::string>(std::move(bytes))) {
  if (given_->size() < kLengthBytes) too_short(name, given_->size());
  read(given_->data(), given_->size());
}

void SafetensorsFile::read(const char* bytes, std::size_t size) {
  const std::string file = path_.string();
  std::uint64_t header_size = 0;
  for (int i = 7; i >= 0; --i)
    header_size = header_size << 8 | static_cast<unsigned char>(bytes[i]);
  if (header_size > kMaxHeader || header_size > size - kLengthBytes)
    throw InputError(file + ": the header length is " + std::to_string(header_size) +
                     " bytes, but the file has " + std::to_string(size - kLengthBytes) +
                     " after it (at most " + std::to_string(kMaxHeader) +
                     " are allowed): truncated, or no safetensors file");
  data_ = bytes + kLengthBytes + header_size;
  const std::uint64_t data_size = size - kLengthBytes - header_size;
  const Document document = parse_json(std::string(bytes + kLengthBytes, header_size), file);
  ObjectReader reader(document);
  for (const auto& key : reader.keys()) {
    if (key == "__metadata__") {
      ObjectReader metadata = reader.object(key);
      for (const auto& name : metadata.keys()) metadata_[name] = metadata.text(name);
      continue;
    }
    tensors_.push_back(read_entry(reader.object(key), key, file, data_size));
  }
  std::stable_sort(tensors_.begin(), tensors_.end(),
                   [](const TensorEntry& a, const TensorEntry& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const TensorEntry& entry = tensors_[i];
    if (entry.begin != covered)
      throw InputError(file + ": tensor \"" + entry.name + "\" begins at byte " +
                       std::to_string(entry.begin) + ", but the one before it ends at " +
                       std::to_string(covered) + ": tensors must not overlap or leave gaps");
    covered = entry.end;
    index_[entry.name] = i;
  }
  if (covered != data_size)
    throw InputError(file + ": the tensors cover " + std::to_string(covered) + " of " +
                     std::to_string(data_size) + " bytes of data");
}

SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::string_view SafetensorsFile::bytes(const TensorEntry& entry) const {
  return {data_ + entry.begin, static_cast<std::size_t>(entry.end - entry.begin)};
}

namespace {

/// The header and its length.
std::string head_of(const std::vector<TensorEntry>& tensors,
                    const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    const std::uint64_t end = offset + tensor.byte_count();
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length;
  for (int i = 0; i < 8; ++i) length += static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

std::vector<TensorEntry> entries_of(const std::vector<TensorView>& tensors) {
  std::vector<TensorEntry> entries;
  for (const TensorView& tensor : tensors)
    entries.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape});
  return entries;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(
      path, entries_of(tensors), [&](std::size_t i) { return tensors[i].bytes; }, metadata);
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorEntry>& tensors,
                       const std::function<std::string_view(std::size_t)>& bytes,
                       const std::map<std::string, std::string>& metadata) {
  const std::string head = head_of(tensors, metadata);
  AtomicFile file(path);
  file.stream().write(head.data(), static_cast<std::streamsize>(head.size()));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string_view data = bytes(i);
    file.stream().write(data.data(), static_cast<std::streamsize>(data.size()));
  }
  file.commit();
}

std::string safetensors_bytes(const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::string bytes = head_of(entries_of(tensors), metadata);
  for (const auto& tensor : tensors) bytes += tensor.bytes;
  return bytes;
}

}  // namespace strata
