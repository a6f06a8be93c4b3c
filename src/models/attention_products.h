#pragma once
/// \file
/// Products of an attention head's matrices. No LibTorch: its one source is compiled with all
/// optimisations, where what calls LibTorch is not.

#include <cstdint>

namespace strata::models {

/// A matrix inside larger rows: element (i, j) is data[i * row + j * column].
template <typename T>
struct Strided {
  T* data;
  std::int64_t row, column;
};

/// C = α A B for matrices of a few dozen rows and columns, (rows, inner) × (inner, columns); B and
/// C have contiguous rows.
void multiply(std::int64_t rows, std::int64_t inner, std::int64_t columns, float alpha,
              Strided<const float> a, Strided<const float> b, Strided<float> c);
void multiply(std::int64_t rows, std::int64_t inner, std::int64_t columns, double alpha,
              Strided<const double> a, Strided<const double> b, Strided<double> c);

}  // namespace strata::models
