#include "data/jpeg.h"

// jpeglib.h needs FILE and size_t declared before it.
#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>
#include <csetjmp>

#include <cstdint>
#include <string>
#include <vector>

#include "data/exif.h"
#include "data/image_limits.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

// libjpeg reports errors by longjmp. No object with a destructor may live between the setjmp and
// the calls that can jump, so everything they fill is kept in these structs, outside.

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

void jpeg_fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void jpeg_warn(j_common_ptr info, int level) {
  // libjpeg fills the rest of a truncated image with grey and calls that a warning; other warnings
  // (stray bytes between markers) leave the picture whole.
  const int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) jpeg_fail(info);
}

/// A progressive file says in every scan a little more about all of the picture, and a scan of a
/// hundred bytes takes as long as one of megabytes. Encoders write about ten; one for every bit of
/// every component's coefficients would be fewer than these.
constexpr int kMaxScans = 50;

void jpeg_limit_scans(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "it has more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

struct JpegRows {
  Image image;
  std::vector<std::uint8_t> cmyk;
  int orientation = 1;
};

/// False with errors.message set when the file is damaged. Leaves out the pixels of an image that
/// does not fit, too.
bool decode_jpeg(std::string_view bytes, JpegErrors& errors, JpegRows& out, bool header_only) {
  jpeg_decompress_struct jpeg;
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = jpeg_limit_scans;
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jpeg_fail;
  errors.manager.emit_message = jpeg_warn;
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&jpeg);
    return false;
  }
  jpeg_create_decompress(&jpeg);
  jpeg.progress = &progress;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&jpeg, TRUE);
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (jpeg_saved_marker_ptr marker = jpeg.marker_list; marker; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.substr(0, kExif.size()) == kExif) {
      out.orientation = exif_orientation(data.substr(kExif.size()));
      break;
    }
  }
  Image& image = out.image;
  image.width = static_cast<int>(jpeg.image_width);
  image.height = static_cast<int>(jpeg.image_height);
  if (!header_only && image_fits(jpeg.image_width, jpeg.image_height)) {
    // libjpeg makes CMYK of YCCK, but not RGB of either.
    const bool four = jpeg.num_components == 4;
    jpeg.out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg);
    const std::size_t stride = static_cast<std::size_t>(image.width) * (four ? 4 : 3);
    std::vector<std::uint8_t>& pixels = four ? out.cmyk : image.pixels;
    pixels.resize(stride * image.height);
    while (jpeg.output_scanline < jpeg.output_height) {
      JSAMPROW row = pixels.data() + stride * jpeg.output_scanline;
      jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
  }
  jpeg_destroy_decompress(&jpeg);
  return true;
}

}  // namespace

Image read_jpeg(std::string_view bytes, const std::filesystem::path& file, bool header_only) {
  JpegRows rows;
  JpegErrors errors;
  if (!decode_jpeg(bytes, errors, rows, header_only))
    throw InputError(file.string() + ": damaged JPEG image: " + errors.message);
  Image image = std::move(rows.image);
  check_image_size(file.string(), "JPEG", image.width, image.height);
  if (!rows.cmyk.empty()) {
    // Adobe writes CMYK inverted (255 is no ink), and others do as Adobe does: a channel's light is
    // what its ink and the black let through.
    image.pixels.resize(rows.cmyk.size() / 4 * 3);
    for (std::size_t i = 0; i < rows.cmyk.size() / 4; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        image.pixels[3 * i + c] =
            static_cast<std::uint8_t>((rows.cmyk[4 * i + c] * rows.cmyk[4 * i + 3] + 127) / 255);
  }
  return upright(std::move(image), rows.orientation, header_only);
}

}  // namespace strata::data
