/* Batch norm in training, y = (x - mean) * inverse * weight + bias over the rows of x [rows, c], and its gradients.

   All is reckoned about the first row, so that nothing cancels where x is far from 0: what is called offset is the mean
   less the first row. The rows are read in `parts`, the sums of which are added in order: no result depends on the
   number of threads. */

#include <math.h>

#include "lanes.h"

/* Sum over the rows of a part: x and its square, or g and g times x. */
INLINE void sums_of_part(const float *x, const float *g, float *sums, int64_t parts, int64_t rows, int64_t c,
                         int64_t part, int64_t first, int64_t count) {
    vec start = load(x + first, count), one = {0}, two = {0};
    for (int64_t row = part * rows / parts; row < (part + 1) * rows / parts; row++) {
        vec value = load(x + row * c + first, count) - start;
        vec by = g ? load(g + row * c + first, count) : value;
        one += by;
        two += by * value;
    }
    store(sums + 2 * part * c + first, one, count);
    store(sums + (2 * part + 1) * c + first, two, count);
}

/* Write to sums [parts, 2, c]; the first part's places get the totals. */
static void add_up(const float *x, const float *g, float *sums, int64_t parts, int64_t rows, int64_t c, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t first = 0; first < c; first += LANES) {
            if (c - first >= LANES) sums_of_part(x, g, sums, parts, rows, c, part, first, LANES);
            else sums_of_part(x, g, sums, parts, rows, c, part, first, c - first);
        }
    for (int64_t at = 0; at < 2 * c; at++) {
        double total = 0;
        for (int64_t part = 0; part < parts; part++) total += sums[2 * part * c + at];
        sums[at] = total;
    }
}

INLINE void map_rows(const float *x, const float *g, float *to, const float *of_x, const float *of_g, const float *plus,
                     int64_t from, int64_t end, int64_t c, int64_t first, int64_t count) {
    vec start = load(x + first, count), a = load(of_x + first, count), d = load(plus + first, count);
    vec b = g ? load(of_g + first, count) : a;
    for (int64_t row = from; row < end; row++) {
        vec value = (load(x + row * c + first, count) - start) * a + d;
        if (g) value += load(g + row * c + first, count) * b;
        store(to + row * c + first, value, count);
    }
}

/* to = x * of_x + g * of_g + plus, channel by channel. */
static void combine(const float *x, const float *g, float *to, const float *of_x, const float *of_g, const float *plus,
                    int64_t parts, int64_t rows, int64_t c, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t part = 0; part < parts; part++) {
        int64_t from = part * rows / parts, end = (part + 1) * rows / parts;
        for (int64_t first = 0; first < c; first += LANES) {
            if (c - first >= LANES) map_rows(x, g, to, of_x, of_g, plus, from, end, c, first, LANES);
            else map_rows(x, g, to, of_x, of_g, plus, from, end, c, first, c - first);
        }
    }
}

/* weight and bias may be NULL; the running statistics move by `momentum` towards the batch's. */
void norm_forward(const float *x, const float *weight, const float *bias, float *y, float *offset, float *inverse,
                  float *running_mean, float *running_variance, float *sums, int64_t parts, int64_t rows, int64_t c,
                  float momentum, float epsilon, int threads) {
    float *scale = sums + 2 * c, *shift = sums + 3 * c; /* the second part's places, free when the totals are made */
    add_up(x, NULL, sums, parts, rows, c, threads);
    for (int64_t at = 0; at < c; at++) {
        double mean = sums[at] / (double)rows, variance = fmax(sums[c + at] / (double)rows - mean * mean, 0);
        offset[at] = mean;
        inverse[at] = 1 / sqrt(variance + epsilon);
        running_mean[at] += momentum * (x[at] + mean - running_mean[at]);
        running_variance[at] += momentum * (variance * rows / (rows - 1) - running_variance[at]);
        scale[at] = weight ? weight[at] * inverse[at] : inverse[at];
        shift[at] = (bias ? bias[at] : 0) - offset[at] * scale[at];
    }
    combine(x, NULL, y, scale, NULL, shift, parts, rows, c, threads);
}

/* gx = scale * (g - mean(g) - xhat * mean(g * xhat)) with xhat = (x - mean) * inverse; NULL where gx is not wanted. */
void norm_backward(const float *g, const float *x, const float *weight, const float *offset, const float *inverse,
                   float *gx, float *of_weight, float *of_bias, float *sums, int64_t parts, int64_t rows, int64_t c,
                   int threads) {
    float *scale = sums + 2 * c, *of_x = sums + 3 * c, *plus = sums + 4 * c;
    add_up(x, g, sums, parts, rows, c, threads);
    for (int64_t at = 0; at < c; at++) {
        of_bias[at] = sums[at];
        of_weight[at] = (sums[c + at] - offset[at] * of_bias[at]) * inverse[at];
        scale[at] = weight ? weight[at] * inverse[at] : inverse[at];
        of_x[at] = -scale[at] * inverse[at] * of_weight[at] / rows;
        plus[at] = -scale[at] * of_bias[at] / rows - of_x[at] * offset[at];
    }
    if (gx) combine(x, g, gx, of_x, scale, plus, parts, rows, c, threads);
}
