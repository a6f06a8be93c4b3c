#include "data/nifti_header.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "strata/core/error.h"

namespace strata::data {
namespace {

// 512 x 512 x 1,024: the longest CT scans of the published sets have 1,059 slices of fewer pixels.
constexpr std::int64_t kMostVoxels = std::int64_t{1} << 28;
constexpr std::size_t kMostVoxelOffset = std::size_t{1} << 28;
constexpr std::size_t kSize1 = 348, kSize2 = 540, kExtensionFlag = 4;
constexpr std::string_view kMagic1("n+1\0", 4), kPairMagic1("ni1\0", 4);
constexpr std::string_view kMagic2("n+2\0\r\n\032\n", 8), kPairMagic2("ni2\0\r\n\032\n", 8);
constexpr std::size_t kDicomPreamble = 128;
constexpr const char* kConvert = "; make NIfTI of it with dcm2niix (Debian's package dcm2niix)";

struct TypeRow {
  VoxelType type;
  std::size_t bytes;
};

constexpr TypeRow kVoxelTypes[] = {
    {VoxelType::kUint8, 1},   {VoxelType::kInt16, 2},   {VoxelType::kInt32, 4},
    {VoxelType::kFloat32, 4}, {VoxelType::kFloat64, 8}, {VoxelType::kInt8, 1},
    {VoxelType::kUint16, 2},  {VoxelType::kUint32, 4},  {VoxelType::kInt64, 8},
    {VoxelType::kUint64, 8},
};

/// Where the fields of either version are, and how wide.
struct HeaderLayout {
  int version;
  std::size_t size;
  std::size_t dim, type, bits, pixdim, voxel_offset, slope, intercept, units;
  std::size_t qform_code, sform_code, quaternion, offset, rows;
};

constexpr HeaderLayout kLayouts[] = {
    {1, kSize1, 40, 70, 72, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280},
    {2, kSize2, 16, 12, 14, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400},
};

/// A number of the file, which has either byte order.
template <typename Number>
Number number_at(std::string_view bytes, std::size_t at, bool swapped) {
  std::array<char, sizeof(Number)> raw;
  std::memcpy(raw.data(), bytes.data() + at, raw.size());
  if (swapped) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<Number>(raw);
}

std::string number_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

class HeaderFields {
 public:
  HeaderFields(std::string_view bytes, const HeaderLayout& layout, bool swapped, std::string file)
      : bytes_(bytes), at_(layout), swapped_(swapped), file_(std::move(file)) {}

  bool first_version() const { return at_.version == 1; }
  std::int64_t dim(std::size_t i) const {
    return first_version() ? get<std::int16_t>(at_.dim + 2 * i)
                           : get<std::int64_t>(at_.dim + 8 * i);
  }
  double pixdim(std::size_t i) const { return real(at_.pixdim, i); }
  int type() const { return get<std::int16_t>(at_.type); }
  int bits() const { return get<std::int16_t>(at_.bits); }
  double slope() const { return real(at_.slope, 0); }
  double intercept() const { return real(at_.intercept, 0); }
  double quaternion(std::size_t i) const { return real(at_.quaternion, i); }
  double offset(std::size_t i) const { return real(at_.offset, i); }
  double row(std::size_t i, std::size_t j) const { return real(at_.rows, 4 * i + j); }
  int units() const {
    return first_version() ? static_cast<unsigned char>(bytes_[at_.units])
                           : get<std::int32_t>(at_.units);
  }
  int form_code(const char* name) const {
    const std::size_t at = name[0] == 'q' ? at_.qform_code : at_.sform_code;
    const int code = first_version() ? get<std::int16_t>(at) : get<std::int32_t>(at);
    if (code < 0 || code > 5) fail(name, "found " + std::to_string(code) + ", expected 0 to 5");
    return code;
  }
  double voxel_offset() const {
    return first_version() ? real(at_.voxel_offset, 0)
                           : static_cast<double>(get<std::int64_t>(at_.voxel_offset));
  }
  std::size_t least_voxel_offset() const { return at_.size + kExtensionFlag; }

  [[noreturn]] void fail(const std::string& field, const std::string& message) const {
    throw InputError(file_ + ": " + field + ": " + message);
  }

 private:
  template <typename Number>
  Number get(std::size_t at) const {
    return number_at<Number>(bytes_, at, swapped_);
  }
  /// The i-th of several numbers that are floats in one version and doubles in the other.
  double real(std::size_t at, std::size_t i) const {
    return first_version() ? static_cast<double>(get<float>(at + 4 * i)) : get<double>(at + 8 * i);
  }

  std::string_view bytes_;
  const HeaderLayout& at_;
  bool swapped_;
  std::string file_;
};

[[noreturn]] void refuse_foreign(std::string_view bytes, const std::string& file) {
  if (bytes.substr(0, 4) == "\x89PNG" || bytes.substr(0, 2) == "\xff\xd8")
    throw InputError(file + ": is a picture, no NIfTI file (.nii, .nii.gz)");
  throw InputError(file +
                   ": is no NIfTI file (.nii, .nii.gz): it does not begin with a header of " +
                   std::to_string(kSize1) + " or " + std::to_string(kSize2) + " bytes");
}

/// Which of the two layouts, and the byte order.
std::pair<const HeaderLayout*, bool> layout_of(std::string_view bytes, const std::string& file) {
  if (bytes.size() >= kDicomPreamble + 4 && bytes.substr(kDicomPreamble, 4) == "DICM")
    throw InputError(file + ": is a DICOM file, no NIfTI file (.nii, .nii.gz)" + kConvert);
  if (bytes.size() < 4) refuse_foreign(bytes, file);
  for (const bool swapped : {false, true})
    for (const HeaderLayout& layout : kLayouts) {
      if (number_at<std::int32_t>(bytes, 0, swapped) != static_cast<std::int32_t>(layout.size))
        continue;
      if (bytes.size() < layout.size)
        throw InputError(file + ": the NIfTI header ends after " + std::to_string(bytes.size()) +
                         " of " + std::to_string(layout.size) + " bytes; the file is cut off");
      const bool first = layout.version == 1;
      const std::string_view magic =
          first ? bytes.substr(kSize1 - 4, 4) : bytes.substr(4, kMagic2.size());
      if (magic == (first ? kPairMagic1 : kPairMagic2))
        throw InputError(file +
                         ": is one of a pair of NIfTI files (.hdr and .img); a single one (.nii, "
                         ".nii.gz) can be read");
      if (first && magic != kMagic1)
        throw InputError(file +
                         ": is an Analyze 7.5 file, which does not say where left is; a NIfTI file "
                         "(.nii, .nii.gz) can be read");
      if (magic != (first ? kMagic1 : kMagic2)) refuse_foreign(bytes, file);
      return {&layout, swapped};
    }
  refuse_foreign(bytes, file);
}

std::string shape_of(const HeaderFields& fields, std::int64_t dimensions) {
  std::string text;
  for (std::int64_t i = 1; i <= dimensions; ++i)
    text += (i > 1 ? " x " : "") + std::to_string(fields.dim(static_cast<std::size_t>(i)));
  return text;
}

void read_size(const HeaderFields& fields, VolumeGrid& grid) {
  const std::int64_t dimensions = fields.dim(0);
  if (dimensions < 1 || dimensions > 7)
    fields.fail("dim", "found " + std::to_string(dimensions) + " dimensions; a volume has 3");
  const std::string shape = shape_of(fields, dimensions);
  bool further = dimensions < 3;
  for (std::size_t i = 4; i <= static_cast<std::size_t>(dimensions); ++i)
    further = further || fields.dim(i) != 1;
  if (further)
    fields.fail("dim", "found " + std::to_string(dimensions) + " dimensions (" + shape +
                           "); a volume has 3, and further ones of length 1");
  std::int64_t voxels = 1;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t size = fields.dim(i + 1);
    if (size < 1) fields.fail("dim", "found " + shape + " voxels; at least 1 along each axis");
    if (size > kMostVoxels / voxels)
      fields.fail("dim", "found " + shape + " voxels; at most " + std::to_string(kMostVoxels) +
                             " in all can be read");
    voxels *= size;
    grid.size[i] = size;
  }
}

VoxelType read_type(const HeaderFields& fields) {
  std::string allowed;
  for (const TypeRow& row : kVoxelTypes) {
    const int code = static_cast<int>(row.type);
    allowed += (allowed.empty() ? "" : ", ") + std::to_string(code);
    if (code != fields.type()) continue;
    if (fields.bits() != static_cast<int>(8 * row.bytes))
      fields.fail("bitpix", "found " + std::to_string(fields.bits()) + ", but datatype " +
                                std::to_string(code) + " has " + std::to_string(8 * row.bytes));
    return row.type;
  }
  fields.fail("datatype", "found " + std::to_string(fields.type()) + ", expected one of " +
                              allowed + " (whole and real numbers; no colours)");
}

/// Millimetres in a unit of length.
double millimetres(const HeaderFields& fields) {
  switch (fields.units() & 7) {
    case 0:
    case 2:
      return 1;
    case 1:
      return 1000;
    case 3:
      return 0.001;
    default:
      fields.fail("xyzt_units", "found " + std::to_string(fields.units() & 7) +
                                    " for lengths, expected 0 (unknown), 1 (metre), 2 "
                                    "(millimetre) or 3 (micron)");
  }
}

std::array<double, 3> voxel_sizes(const HeaderFields& fields) {
  std::array<double, 3> sizes{};
  for (std::size_t i = 0; i < 3; ++i) {
    sizes[i] = std::abs(fields.pixdim(i + 1));
    if (!std::isfinite(sizes[i]) || sizes[i] == 0)
      fields.fail("pixdim", "found " + number_text(fields.pixdim(i + 1)) + " for axis " +
                                std::to_string(i + 1) + ", expected a length above 0");
  }
  return sizes;
}

/// nifti1.h, method 2: a rotation by a quaternion, whose first part follows from the others.
VoxelToSpace q_form(const HeaderFields& fields) {
  const double b = fields.quaternion(0), c = fields.quaternion(1), d = fields.quaternion(2);
  const double rest = 1 - (b * b + c * c + d * d);
  // As nibabel: what 32-bit numbers cannot say better is taken as a half turn.
  constexpr double kRounding = 3.0 * std::numeric_limits<float>::epsilon();
  if (!(rest >= -kRounding))
    fields.fail("quatern", "found (" + number_text(b) + ", " + number_text(c) + ", " +
                               number_text(d) + "), expected a length of at most 1");
  const double a = rest > kRounding ? std::sqrt(rest) : 0;
  const std::array<double, 3> sizes = voxel_sizes(fields);
  const double flip = fields.pixdim(0) < 0 ? -1 : 1;
  const double rotation[3][3] = {
      {a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
      {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
      {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b}};
  VoxelToSpace affine{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j)
      affine[i][j] = rotation[i][j] * sizes[j] * (j == 2 ? flip : 1);
    affine[i][3] = fields.offset(i);
  }
  return affine;
}

VoxelToSpace stated_affine(const HeaderFields& fields, int& space) {
  VoxelToSpace affine{};
  const int q_code = fields.form_code("qform_code"), s_code = fields.form_code("sform_code");
  space = s_code > 0 ? s_code : q_code;
  if (s_code > 0) {
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 4; ++j) affine[i][j] = fields.row(i, j);
  } else if (q_code > 0) {
    affine = q_form(fields);
  } else {
    const std::array<double, 3> sizes = voxel_sizes(fields);
    for (std::size_t i = 0; i < 3; ++i) affine[i][i] = sizes[i];
  }
  return affine;
}

void read_space(const HeaderFields& fields, VolumeGrid& grid) {
  grid.affine = stated_affine(fields, grid.space);
  const double unit = millimetres(fields);
  for (auto& row : grid.affine)
    for (double& value : row) {
      value *= unit;
      if (!std::isfinite(value) || std::abs(value) > 1e9)
        fields.fail("affine", "found " + number_text(value) + ", expected millimetres");
    }
  for (std::size_t j = 0; j < 3; ++j) {
    double squares = 0;
    for (const auto& row : grid.affine) squares += row[j] * row[j];
    grid.spacing[j] = std::sqrt(squares);
    if (grid.spacing[j] < 1e-9)
      fields.fail("affine", "the voxels have no length along axis " + std::to_string(j + 1));
  }
}

void read_scaling(const HeaderFields& fields, NiftiHeader& header) {
  // As nibabel: a slope of 0 or one that is no number means that there is none.
  if (!std::isfinite(fields.slope()) || fields.slope() == 0) return;
  if (!std::isfinite(fields.intercept()))
    fields.fail("scl_inter", "found " + number_text(fields.intercept()) + " beside a slope of " +
                                 number_text(fields.slope()) + ", expected a number");
  header.slope = fields.slope();
  header.intercept = fields.intercept();
}

std::size_t read_voxel_offset(const HeaderFields& fields) {
  const double offset = fields.voxel_offset();
  const auto least = static_cast<double>(fields.least_voxel_offset());
  if (!(offset >= least) || offset > static_cast<double>(kMostVoxelOffset) ||
      offset != std::floor(offset))
    fields.fail("vox_offset", "found " + number_text(offset) + ", expected a whole number from " +
                                  number_text(least) + " to " + std::to_string(kMostVoxelOffset));
  return static_cast<std::size_t>(offset);
}

template <typename Number>
void put(std::string& bytes, std::size_t at, Number value) {
  std::memcpy(bytes.data() + at, &value, sizeof(Number));
}

/// Writes the fields in which the versions differ by their width.
class HeaderWriter {
 public:
  explicit HeaderWriter(const HeaderLayout& layout)
      : at_(layout), bytes_(layout.size + kExtensionFlag, '\0') {}

  void whole(std::size_t at, std::size_t i, std::int64_t value) {
    if (at_.version == 1)
      put(bytes_, at + 2 * i, static_cast<std::int16_t>(value));
    else
      put(bytes_, at + 8 * i, value);
  }
  void real(std::size_t at, std::size_t i, double value) {
    if (at_.version == 1)
      put(bytes_, at + 4 * i, static_cast<float>(value));
    else
      put(bytes_, at + 8 * i, value);
  }
  void code(std::size_t at, int value) {
    if (at_.version == 1)
      put(bytes_, at, static_cast<std::int16_t>(value));
    else
      put(bytes_, at, static_cast<std::int32_t>(value));
  }
  std::string& bytes() { return bytes_; }

 private:
  const HeaderLayout& at_;
  std::string bytes_;
};

using Rotation = std::array<std::array<double, 3>, 3>;

struct Quaternion {
  double b, c, d, flip;
};

/// The affine without the voxels' lengths, as a quaternion. False where its axes are not at right
/// angles. The largest of the four parts is what the others are divided by.
bool find_quaternion(const VolumeGrid& grid, Quaternion& found) {
  Rotation r{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) r[i][j] = grid.affine[i][j] / grid.spacing[j];
  for (std::size_t j = 0; j < 3; ++j) {
    const std::size_t k = (j + 1) % 3;
    if (std::abs(r[0][j] * r[0][k] + r[1][j] * r[1][k] + r[2][j] * r[2][k]) > 1e-5) return false;
  }
  const double determinant = r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) -
                             r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
                             r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
  found.flip = determinant < 0 ? -1 : 1;
  for (auto& row : r) row[2] *= found.flip;
  const std::array<double, 4> squares = {
      1 + r[0][0] + r[1][1] + r[2][2], 1 + r[0][0] - r[1][1] - r[2][2],
      1 - r[0][0] + r[1][1] - r[2][2], 1 - r[0][0] - r[1][1] + r[2][2]};
  // Products of two parts, four times.
  const double ab = r[2][1] - r[1][2], ac = r[0][2] - r[2][0], ad = r[1][0] - r[0][1];
  const double bc = r[0][1] + r[1][0], bd = r[0][2] + r[2][0], cd = r[1][2] + r[2][1];
  const auto largest = std::max_element(squares.begin(), squares.end()) - squares.begin();
  const double part = std::sqrt(squares[static_cast<std::size_t>(largest)]) / 2;
  const std::array<std::array<double, 4>, 4> all = {{{4 * part * part, ab, ac, ad},
                                                     {ab, 4 * part * part, bc, bd},
                                                     {ac, bc, 4 * part * part, cd},
                                                     {ad, bd, cd, 4 * part * part}}};
  std::array<double, 4> parts = all[static_cast<std::size_t>(largest)];
  for (double& value : parts) value /= 4 * part;
  const double sign = parts[0] < 0 ? -1 : 1;
  found.b = sign * parts[1];
  found.c = sign * parts[2];
  found.d = sign * parts[3];
  return true;
}

}  // namespace

std::size_t bytes_of(VoxelType type) {
  for (const TypeRow& row : kVoxelTypes)
    if (row.type == type) return row.bytes;
  return 0;
}

NiftiHeader parse_nifti_header(std::string_view bytes, const std::string& file) {
  const auto [layout, swapped] = layout_of(bytes, file);
  const HeaderFields fields(bytes, *layout, swapped, file);
  NiftiHeader header;
  header.swapped = swapped;
  read_size(fields, header.grid);
  header.type = read_type(fields);
  read_space(fields, header.grid);
  read_scaling(fields, header);
  header.voxel_offset = read_voxel_offset(fields);
  return header;
}

std::string nifti_header_bytes(const VolumeGrid& grid, VoxelType type) {
  const bool short_enough = *std::max_element(grid.size.begin(), grid.size.end()) <=
                            std::numeric_limits<std::int16_t>::max();
  const HeaderLayout& at = kLayouts[short_enough ? 0 : 1];
  HeaderWriter writer(at);
  std::string& bytes = writer.bytes();
  put(bytes, 0, static_cast<std::int32_t>(at.size));
  bytes.replace(short_enough ? kSize1 - 4 : 4, (short_enough ? kMagic1 : kMagic2).size(),
                short_enough ? kMagic1 : kMagic2);
  writer.whole(at.dim, 0, 3);
  for (std::size_t i = 1; i <= 7; ++i) {
    writer.whole(at.dim, i, i <= 3 ? grid.size[i - 1] : 1);
    writer.real(at.pixdim, i, i <= 3 ? grid.spacing[i - 1] : 1);
  }
  put(bytes, at.type, static_cast<std::int16_t>(type));
  put(bytes, at.bits, static_cast<std::int16_t>(8 * bytes_of(type)));
  writer.real(at.slope, 0, 1);
  if (short_enough) {
    writer.real(at.voxel_offset, 0, static_cast<double>(bytes.size()));
    bytes[at.units] = 2;
  } else {
    writer.whole(at.voxel_offset, 0, static_cast<std::int64_t>(bytes.size()));
    writer.code(at.units, 2);
  }
  writer.code(at.sform_code, grid.space);
  Quaternion q{};
  if (grid.space > 0 && find_quaternion(grid, q)) {
    writer.code(at.qform_code, grid.space);
    writer.real(at.pixdim, 0, q.flip);
    writer.real(at.quaternion, 0, q.b);
    writer.real(at.quaternion, 1, q.c);
    writer.real(at.quaternion, 2, q.d);
    for (std::size_t i = 0; i < 3; ++i) writer.real(at.offset, i, grid.affine[i][3]);
  } else {
    writer.real(at.pixdim, 0, 1);
  }
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 4; ++j) writer.real(at.rows, 4 * i + j, grid.affine[i][j]);
  return std::move(writer.bytes());
}

}  // namespace strata::data
