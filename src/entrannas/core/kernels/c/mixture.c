/* The weighted sums out[j] = sum_k p[j, k] feature[k] of maps of `size` numbers, and their gradients.

   A weight of zero adds nothing and gets no gradient. The maps are read a slice at a time, which stays in the cache for
   all sums that want it. */

#include "lanes.h"

enum { SLICE = 1024 };

INLINE int64_t slice_end(int64_t start, int64_t end) { return start + SLICE < end ? start + SLICE : end; }

/* The sums of features with p, or their gradients: with p [features, sums] turned round, those are sums as well. */
void mixture_sums(const float *const *feature, const float *p, float *const *out, int64_t size, int64_t features,
                  int64_t sums, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t start = 0; start < size; start += SLICE)
        for (int64_t j = 0; j < sums; j++) {
            float *to = out[j];
            int64_t end = slice_end(start, size);
            memset(to + start, 0, (end - start) * sizeof(float));
            for (int64_t k = 0; k < features; k++) {
                const float *from = feature[k];
                float weight = p[j * features + k];
                if (weight == 0) continue;
                for (int64_t e = start; e < end; e++) to[e] += weight * from[e];
            }
        }
}

/* The weights' gradients gp[j, k] = <g[j], feature[k]>, in parts [count, sums, features]: what they add up to is the
   same for any number of threads. */
void mixture_weights(const float *const *g, const float *const *feature, const float *p, float *parts, int64_t count,
                     int64_t size, int64_t features, int64_t sums, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < count; part++) {
        int64_t last = (part + 1) * size / count;
        memset(parts + part * sums * features, 0, sums * features * sizeof(float));
        for (int64_t start = part * size / count; start < last; start += SLICE)
            for (int64_t j = 0; j < sums; j++)
                for (int64_t k = 0; k < features; k++) {
                    if (p[j * features + k] == 0) continue;
                    int64_t end = slice_end(start, last), e = start;
                    vec sum = {0};
                    for (; e + LANES <= end; e += LANES) sum += load(g[j] + e, LANES) * load(feature[k] + e, LANES);
                    float total = 0;
                    for (int64_t lane = 0; lane < LANES; lane++) total += sum[lane];
                    for (; e < end; e++) total += g[j][e] * feature[k][e];
                    parts[(part * sums + j) * features + k] += total;
                }
    }
}
