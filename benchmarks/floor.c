/* Loops in plain C that move the bytes an optimizer has to move: the floor for benchmarks/update.py. */
#include <math.h>

void sgd(float* restrict p, const float* restrict g, long n, float lr) {
#pragma omp parallel for simd schedule(static)
  for (long i = 0; i < n; ++i) p[i] -= lr * g[i];
}

void adam(float* restrict p, const float* restrict g, float* restrict m, float* restrict v, long n,
          float alpha_t, float b1, float b2, float eps) {
#pragma omp parallel for simd schedule(static)
  for (long i = 0; i < n; ++i) {
    m[i] += b1 * (g[i] - m[i]);
    v[i] += b2 * (g[i] * g[i] - v[i]);
    p[i] -= alpha_t * m[i] / (sqrtf(v[i]) + eps);
  }
}
