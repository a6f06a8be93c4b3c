#pragma once
/// \file
/// Formula-driven images to pretrain a classifier on without a photograph: attractors of random
/// iterated function systems (FractalDB; Kataoka et al., ACCV 2020, arXiv 2101.08515). Every class
/// is one system, its images are of systems near it.

#include <cstdint>
#include <filesystem>

#include "data/manifest.h"

namespace strata::data {

struct FractalOptions {
  std::uint64_t seed = 1;
  int classes = 64;
  int images_per_class = 60;  ///< 90 % train, 10 % test, one at least
  int size = 64;              ///< pixels, square
  int threads = 0;            ///< 0: all; the files do not depend on it
};

/// Writes OUT/dataset.json, OUT/manifest.jsonl and OUT/images/<class>/NNNN.png. The same options
/// give the same bytes on every machine and for any number of threads. Takes about a millisecond an
/// image of 64 pixels. @throws WorkError, InputError when OUT holds something else, or options are
/// out of range: 2 to 10,000 classes, 2 to 9,999 images, 32 to 256 pixels.
Manifest make_fractals(const std::filesystem::path& out, const FractalOptions& options);

}  // namespace strata::data
