#include "chainrule/backend/cpu/kernels/kernels.h"
#include "chainrule/backend/matrix.h"
#include "chainrule/core/dtype.h"

// Matrix products in registers: three ways for three sizes.
//
// - tiny: three loops, for products that cost less than any preparation;
// - thin: a row or two times a matrix, where packing would cost more than the product;
// - packed: both operands are copied into panels that a tile of accumulators, kept in
//   registers, runs along (K. Goto, R. van de Geijn, Anatomy of high-performance matrix
//   multiplication, 2008).
//
// An element of c is summed in an order that depends on nothing but k, whatever part of c a
// call computes: results do not change with the number of threads.
namespace chainrule::cpu {
inline namespace CHAINRULE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kTileRows = 12;  // 24 of 32 registers accumulate
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kTileRows = 6;  // 12 of 16
#else
constexpr int kVectorBytes = 16;
constexpr int kTileRows = 4;  // 8 of 16
#endif
constexpr int kTileVectors = 2;

constexpr std::int64_t kBlockRows = 144;   // of a, a multiple of every kTileRows
constexpr std::int64_t kBlockDepth = 256;  // of both: panels of b stay in the L1 cache
constexpr std::int64_t kBlockCols = 512;   // of b

using Int = std::int64_t;

template <class T>
struct Simd {
  typedef T Vector __attribute__((vector_size(kVectorBytes)));
  static constexpr int width = kVectorBytes / static_cast<int>(sizeof(T));
  static constexpr int tile_cols = kTileVectors * width;

  static CR_INLINE Vector load(const T* p) {
    Vector v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static CR_INLINE void store(T* p, Vector v) { __builtin_memcpy(p, &v, sizeof v); }
};

template <class T>
CR_INLINE T* at(const Matrix& x, Int row, Int col) {
  return reinterpret_cast<T*>(x.data) + row * x.row_stride + col * x.col_stride;
}

// A factor as an element; integers wrap.
template <class T>
CR_INLINE T factor(double value) {
  if constexpr (T(0.5) == 0) return static_cast<T>(static_cast<Int>(value));
  return static_cast<T>(value);
}

// Puts a finished sum into c; `first` is false where c already holds a part of it.
template <class T>
CR_INLINE void finish(const GemmPlan& plan, T alpha, T beta, bool first, Int row, Int col, T sum) {
  T* c = at<T>(plan.c, row, col);
  T value = alpha * sum;
  if (!first) {
    value += *c;
  } else {
    if (plan.beta != 0) value += beta * *c;
    if (plan.bias.data) value += *at<T>(plan.bias, row, col);
  }
  *c = value;
}

template <class T>
void tiny(const GemmPlan& plan) {
  const T alpha = factor<T>(plan.alpha);
  const T beta = factor<T>(plan.beta);
  const Int depth = plan.a.cols;
  for (Int i = 0; i < plan.c.rows; ++i) {
    for (Int j = 0; j < plan.c.cols; ++j) {
      const T* a = at<T>(plan.a, i, 0);
      const T* b = at<T>(plan.b, 0, j);
      T sum = 0;
      for (Int p = 0; p < depth; ++p) {
        sum += *a * *b;
        a += plan.a.col_stride;
        b += plan.b.row_stride;
      }
      finish(plan, alpha, beta, true, i, j, sum);
    }
  }
}

// Columns begin..end of a product whose a has few rows. Where the columns of b are contiguous
// an element is a scalar product, where its rows are, a row of c is a sum of rows.
template <class T>
void thin(const GemmPlan& plan, Int begin, Int end) {
  using S = Simd<T>;
  const T alpha = factor<T>(plan.alpha);
  const T beta = factor<T>(plan.beta);
  const Int depth = plan.a.cols;
  const Int sa = plan.a.col_stride;
  for (Int i = 0; i < plan.c.rows; ++i) {
    const T* a = at<T>(plan.a, i, 0);
    if (plan.b.row_stride == 1 && sa == 1) {
      for (Int j = begin; j < end; ++j) {
        const T* b = at<T>(plan.b, 0, j);
        typename S::Vector sums[4] = {};
        Int p = 0;
        for (; p + 4 * S::width <= depth; p += 4 * S::width) {
          for (int v = 0; v < 4; ++v) {
            sums[v] += S::load(a + p + v * S::width) * S::load(b + p + v * S::width);
          }
        }
        const typename S::Vector total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        T sum = 0;
        for (int v = 0; v < S::width; ++v) sum += total[v];
        for (; p < depth; ++p) sum += a[p] * b[p];
        finish(plan, alpha, beta, true, i, j, sum);
      }
      continue;
    }
    constexpr Int kRun = 256;
    for (Int j = begin; j < end; j += kRun) {
      const Int n = end - j < kRun ? end - j : kRun;
      T sums[kRun] = {};
      for (Int p = 0; p < depth; ++p) {
        const T left = a[p * sa];
        const T* b = at<T>(plan.b, p, j);
        if (plan.b.col_stride == 1) {
          for (Int q = 0; q < n; ++q) sums[q] += left * b[q];
        } else {
          for (Int q = 0; q < n; ++q) sums[q] += left * b[q * plan.b.col_stride];
        }
      }
      for (Int q = 0; q < n; ++q) finish(plan, alpha, beta, true, i, j + q, sums[q]);
    }
  }
}

// Copies `lines` lines of `depth` elements into panels of Width lines each, the elements of a
// panel's lines side by side; missing lines are filled with zeros.
template <class T, int Width>
void pack(const T* from, Int line_stride, Int stride, Int lines, Int depth, T* to) {
  for (Int line = 0; line < lines; line += Width, from += Width * line_stride) {
    if (lines - line < Width) {
      for (Int p = 0; p < depth; ++p) {
        for (int r = 0; r < Width; ++r) {
          *to++ = r < lines - line ? from[r * line_stride + p * stride] : T(0);
        }
      }
    } else if (line_stride == 1) {
      for (Int p = 0; p < depth; ++p, to += Width) {
        __builtin_memcpy(to, from + p * stride, Width * sizeof(T));
      }
    } else {
      for (Int p = 0; p < depth; ++p, to += Width) {
        for (int r = 0; r < Width; ++r) to[r] = from[r * line_stride + p * stride];
      }
    }
  }
}

// One tile of c: kTileRows x tile_cols accumulators in registers run along two panels.
template <class T>
void multiply_tile(const GemmPlan& plan,
                   const T* a,
                   const T* b,
                   Int depth,
                   bool first,
                   Int row,
                   Int col,
                   Int rows,
                   Int cols) {
  using S = Simd<T>;
  typename S::Vector sums[kTileRows][kTileVectors] = {};
  for (Int p = 0; p < depth; ++p) {
    typename S::Vector right[kTileVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVectors; ++v) right[v] = S::load(b + v * S::width);
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) sums[r][v] += a[r] * right[v];
    }
    a += kTileRows;
    b += S::tile_cols;
  }
  const T alpha = factor<T>(plan.alpha);
  const T beta = factor<T>(plan.beta);
  const bool whole = rows == kTileRows && cols == S::tile_cols && plan.c.col_stride == 1 &&
                     (!plan.bias.data || plan.bias.col_stride == 1) && (!first || plan.beta == 0);
  if (whole) {
    const bool biased = first && plan.bias.data;
#pragma GCC unroll 16
    for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kTileVectors; ++v) {
        T* c = at<T>(plan.c, row + r, col) + v * S::width;
        typename S::Vector value = alpha * sums[r][v];
        if (!first) value += S::load(c);
        if (biased) value += S::load(at<T>(plan.bias, row + r, col) + v * S::width);
        S::store(c, value);
      }
    }
    return;
  }
  T tile[kTileRows][S::tile_cols];
  __builtin_memcpy(tile, sums, sizeof tile);
  for (Int r = 0; r < rows; ++r) {
    for (Int q = 0; q < cols; ++q) {
      finish(plan, alpha, beta, first, row + r, col + q, tile[r][q]);
    }
  }
}

// The part of c from (row_begin, col_begin) to (row_end, col_end).
template <class T>
void packed(const GemmPlan& plan,
            Int row_begin,
            Int row_end,
            Int col_begin,
            Int col_end,
            void* scratch) {
  constexpr Int tile_cols = Simd<T>::tile_cols;
  const auto least = [](Int x, Int y) { return x < y ? x : y; };
  T* const left = static_cast<T*>(scratch);
  T* const right = left + kBlockRows * kBlockDepth;
  const Int depth = plan.a.cols;
  for (Int j = col_begin; j < col_end; j += kBlockCols) {
    const Int cols = least(kBlockCols, col_end - j);
    for (Int p = 0; p < depth; p += kBlockDepth) {
      const Int deep = least(kBlockDepth, depth - p);
      pack<T, tile_cols>(at<T>(plan.b, p, j), plan.b.col_stride, plan.b.row_stride, cols, deep,
                         right);
      for (Int i = row_begin; i < row_end; i += kBlockRows) {
        const Int rows = least(kBlockRows, row_end - i);
        pack<T, kTileRows>(at<T>(plan.a, i, p), plan.a.row_stride, plan.a.col_stride, rows, deep,
                           left);
        for (Int q = 0; q < cols; q += tile_cols) {
          for (Int r = 0; r < rows; r += kTileRows) {
            multiply_tile(plan, left + r * deep, right + q * deep, deep, p == 0, i + r, j + q,
                          least(kTileRows, rows - r), least(tile_cols, cols - q));
          }
        }
      }
    }
  }
}

template <class T>
GemmBlocking blocking() {
  return {kTileRows, Simd<T>::tile_cols,
          (kBlockRows + kBlockCols) * kBlockDepth * static_cast<Int>(sizeof(T))};
}

// Integers wrap, which only unsigned ones may.
template <class T, class As>
void add_type(KernelRegistrar add) {
  const int column = static_cast<int>(dtype_of<T>);
  add("gemm.tiny", column, reinterpret_cast<void*>(tiny<As>));
  add("gemm.thin", column, reinterpret_cast<void*>(thin<As>));
  add("gemm.packed", column, reinterpret_cast<void*>(packed<As>));
  add("gemm.blocking", column, reinterpret_cast<void*>(blocking<As>));
}

}  // namespace

void register_gemm(KernelRegistrar add) {
  if constexpr (kIsBaseline) {
    add_type<std::int32_t, std::uint32_t>(add);
    add_type<std::int64_t, std::uint64_t>(add);
  }
  add_type<float, float>(add);
  add_type<double, double>(add);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule::cpu
