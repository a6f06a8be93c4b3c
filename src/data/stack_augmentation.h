#pragma once
/// \file
/// How FLAP-SAM varies the stacks that it trains on (BioMedIA-MBZUAI/FLAP-SAM, datasets/
/// dataset.py): all slices of a stack alike, image and mask together. Images are 0 … 1. Each is a
/// function of its parameters alone, the same on every machine.

#include "data/planes.h"
#include "strata/core/random.h"

namespace strata::data {

struct StackPair {
  ImagePlanes image;
  LabelPlanes mask;
};

/// A quarter turn counter-clockwise `quarters` times (numpy.rot90), then upside down, or left to
/// right with `sideways`.
void turn_and_flip(StackPair& stack, int quarters, bool sideways);

/// About the centre, counter-clockwise by whole degrees, the nearest pixel
/// (scipy.ndimage.rotate(order=0, reshape=False)); 0 and the background come in.
void rotate(StackPair& stack, int degrees);

/// x^(1/gamma) in steps of 1/255 (a table of 256 entries, both cut off to whole numbers).
void change_gamma(StackPair& stack, double gamma);

/// A rectangle of pixels, the same noise in all slices and the background in the mask.
struct ErasedBox {
  std::int64_t row = 0, column = 0, rows = 0, columns = 0;
};
void erase(StackPair& stack, const ErasedBox& box, Random& noise);

/// Where a pixel (column x, row y) of the result is taken from: (a x + b y + c, d x + e y + f), in
/// pixels' edges, as Pillow's Image.transform(AFFINE): images bilinear in steps of 1/255, masks
/// nearest; 0 and the background come in.
struct PixelMap {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};
void move_pixels(StackPair& stack, const PixelMap& map);
/// The maps of the published shear, scale (about the upper left corner) and translation.
PixelMap shear_columns(const StackPair& stack, double by);
PixelMap shear_rows(const StackPair& stack, double by);
PixelMap scale_both(double by);
PixelMap move_columns(const StackPair& stack, double by);
PixelMap move_rows(const StackPair& stack, double by);

/// As Pillow's ImageOps.posterize and ImageEnhance.{Contrast, Brightness, Sharpness}, slice by
/// slice in steps of 1/255.
void posterize(StackPair& stack, int bits);
void change_contrast(StackPair& stack, double by);
void change_brightness(StackPair& stack, double by);
void change_sharpness(StackPair& stack, double by);

/// Turns, rotates (-15° to 14°), changes gamma (by 0.5 to 3.5) and erases (2 to 5 % of the pixels,
/// sides in the ratio 0.3 to 3.3), each with probability one half; then two of ten: shear of
/// columns, of rows (±0.3), scale (0.8 to 1.2), translation of columns, of rows (±0.2), posterize
/// (4 to 8 bits), contrast, brightness (0.7 to 1.3), sharpness (0.1 to 1.9), nothing. The size may
/// be turned: resize afterwards.
void augment(StackPair& stack, Random& random);

}  // namespace strata::data
