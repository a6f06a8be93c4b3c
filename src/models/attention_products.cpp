#include "models/attention_products.h"

// Compiled a second time for processors with AVX2 and FMA; the loader picks.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STRATA_VECTOR_CLONES __attribute__((target_clones("arch=haswell", "default")))
#else
#define STRATA_VECTOR_CLONES
#endif

namespace strata::models {
namespace {

/// kWidth columns of C = α A B from column j on, their sums kept in registers.
template <int kWidth, typename T>
inline __attribute__((always_inline)) std::int64_t multiply_columns(
    std::int64_t j, std::int64_t rows, std::int64_t inner, std::int64_t columns, T alpha,
    Strided<const T> a, Strided<const T> b, Strided<T> c) {
  for (; j + kWidth <= columns; j += kWidth) {
    for (std::int64_t i = 0; i < rows; ++i) {
      T sum[kWidth] = {};
      for (std::int64_t l = 0; l < inner; ++l) {
        const T factor = a.data[i * a.row + l * a.column];
        for (int w = 0; w < kWidth; ++w) sum[w] += factor * b.data[l * b.row + j + w];
      }
      for (int w = 0; w < kWidth; ++w) c.data[i * c.row + j + w] = alpha * sum[w];
    }
  }
  return j;
}

template <typename T>
inline __attribute__((always_inline)) void multiply_any(std::int64_t rows, std::int64_t inner,
                                                        std::int64_t columns, T alpha,
                                                        Strided<const T> a, Strided<const T> b,
                                                        Strided<T> c) {
  std::int64_t j = multiply_columns<16>(0, rows, inner, columns, alpha, a, b, c);
  j = multiply_columns<8>(j, rows, inner, columns, alpha, a, b, c);
  j = multiply_columns<4>(j, rows, inner, columns, alpha, a, b, c);
  multiply_columns<1>(j, rows, inner, columns, alpha, a, b, c);
}

}  // namespace

STRATA_VECTOR_CLONES void multiply(std::int64_t rows, std::int64_t inner, std::int64_t columns,
                                   float alpha, Strided<const float> a, Strided<const float> b,
                                   Strided<float> c) {
  multiply_any(rows, inner, columns, alpha, a, b, c);
}

STRATA_VECTOR_CLONES void multiply(std::int64_t rows, std::int64_t inner, std::int64_t columns,
                                   double alpha, Strided<const double> a, Strided<const double> b,
                                   Strided<double> c) {
  multiply_any(rows, inner, columns, alpha, a, b, c);
}

}  // namespace strata::models
