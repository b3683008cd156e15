/* A rectified depthwise convolution and its two gradients, for float32 in channels-last layout.

   y = depthwise(relu(x), weight), with x [n, h, w, c], weight [k * k, c] and y [n, ho, wo, c].

   All three work on one image and one block of LANES channels at a time, copied to a plane: rectified, with the border
   of zeros that the padding means, so that no tap needs a test. */

#include "lanes.h"

enum { GROUP = 4 };

INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Copy a map [h, w, c] to a plane, `before` rows and columns in, its pixels `step` apart. */
INLINE void fill(vec *plane, int64_t height, int64_t width, const float *x, int64_t h, int64_t w, int64_t c,
                 int64_t count, int64_t before, int64_t step, int rectify) {
    memset(plane, 0, height * width * sizeof(vec));
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            vec v = load(x + (i * w + j) * c, count);
            plane[(before + i * step) * width + before + j * step] = rectify ? where_positive(v, v) : v;
        }
}

/* Convolve a plane to y [h, w, c], GROUP pixels at a time, and keep what `gate`, if any, is positive at. */
INLINE void convolve(const vec *plane, int64_t width, const vec *weight, int64_t k, int64_t stride, int64_t dilation,
                     float *y, const float *gate, int64_t h, int64_t w, int64_t c, int64_t count) {
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j += GROUP) {
            vec sum[GROUP] = {{0}};
            for (int64_t u = 0; u < k; u++)
                for (int64_t v = 0; v < k; v++) {
                    const vec *from = plane + (i * stride + u * dilation) * width + j * stride + v * dilation;
                    for (int64_t p = 0; p < GROUP; p++) sum[p] += from[p * stride] * weight[u * k + v];
                }
            for (int64_t p = 0; p < GROUP && j + p < w; p++) {
                int64_t at = (i * w + j + p) * c;
                store(y + at, gate ? where_positive(load(gate + at, count), sum[p]) : sum[p], count);
            }
        }
}

/* Add to the weight's gradient that of a map, g [h, w, c] being the gradient of what came of the plane. */
INLINE void correlate(const vec *plane, int64_t width, vec *weight, int64_t k, int64_t stride, int64_t dilation,
                      const float *g, int64_t h, int64_t w, int64_t c, int64_t count) {
    for (int64_t i = 0; i < h; i++)
        for (int64_t u = 0; u < k; u++) {
            const vec *from = plane + (i * stride + u * dilation) * width;
            vec sum[LARGEST] = {{0}};
            for (int64_t j = 0; j < w; j++) {
                vec by = load(g + (i * w + j) * c, count);
                for (int64_t v = 0; v < k; v++) sum[v] += by * from[j * stride + v * dilation];
            }
            for (int64_t v = 0; v < k; v++) weight[u * k + v] += sum[v];
        }
}

/* Kernels of 3 and 5 with the stride known to the compiler, and all channels of a block: the loops unroll. */
#define SPECIALISED(call, k, stride, count)                              \
    do {                                                                 \
        if (k == 3 && stride == 1 && count == LANES) call(3, 1, LANES);  \
        else if (k == 5 && stride == 1 && count == LANES) call(5, 1, LANES); \
        else if (k == 3) call(3, stride, count);                         \
        else if (k == 5) call(5, stride, count);                         \
        else call(k, stride, count);                                     \
    } while (0)

/* The plane of a map whose pixels lie `step` apart: as large as it and the windows over it need. */
static int64_t plane_height(Shape s, int64_t step) {
    return larger((s.ho - 1) * s.stride + (s.k - 1) * s.dilation + 1, s.padding + (s.h - 1) * step + 1);
}

static int64_t plane_width(Shape s, int64_t step) {
    int64_t grouped = (s.wo + GROUP - 1) / GROUP * GROUP;
    return larger((grouped - 1) * s.stride + (s.k - 1) * s.dilation + 1, s.padding + (s.w - 1) * step + 1);
}

/* Convolve maps, their pixels `step` apart: rectified ones, or with a gate for what comes out. */
static void slide(const float *x, const float *weight, const float *gate, float *y, Shape s, int64_t step,
                  int threads) {
    int64_t height = plane_height(s, step), width = plane_width(s, step), taps = s.k * s.k;
#pragma omp parallel num_threads(threads)
    {
        vec *plane = aligned_alloc(sizeof(vec), height * width * sizeof(vec)), kernel[LARGEST * LARGEST];
#pragma omp for collapse(2)
        for (int64_t image = 0; image < s.n; image++)
            for (int64_t index = 0; index < blocks(s); index++) {
                Block b = block(s, index);
                const float *from = x + image * s.h * s.w * s.c + b.first;
                int64_t out = image * s.ho * s.wo * s.c + b.first;
                const float *by = gate ? gate + out : NULL;
                for (int64_t t = 0; t < taps; t++) kernel[t] = load(weight + t * s.c + b.first, b.count);
                fill(plane, height, width, from, s.h, s.w, s.c, b.count, s.padding, step, !gate);
#define CONVOLVE(k, stride, count) \
    convolve(plane, width, kernel, k, stride, s.dilation, y + out, by, s.ho, s.wo, s.c, count)
                SPECIALISED(CONVOLVE, s.k, s.stride, b.count);
#undef CONVOLVE
            }
        free(plane);
    }
}

void depthwise_forward(const float *x, const float *weight, float *y, Shape s, int threads) {
    slide(x, weight, NULL, y, s, 1, threads);
}

/* The gradient of x: a convolution of y's, its pixels `stride` apart, with the kernel turned round. */
void depthwise_input(const float *g, const float *turned, const float *x, float *gx, Shape s, int threads) {
    Shape back = {s.n, s.ho, s.wo, s.c, s.h, s.w, s.k, 1, (s.k - 1) * s.dilation - s.padding, s.dilation};
    slide(g, turned, x, gx, back, s.stride, threads);
}

/* The gradient of the weight in parts [count, k * k, c], each of some images: their sum is the same for any number of
   threads. */
void depthwise_weight(const float *g, const float *x, float *parts, int64_t count, Shape s, int threads) {
    int64_t height = plane_height(s, 1), width = plane_width(s, 1), taps = s.k * s.k;
#pragma omp parallel num_threads(threads)
    {
        vec *plane = aligned_alloc(sizeof(vec), height * width * sizeof(vec));
#pragma omp for collapse(2)
        for (int64_t part = 0; part < count; part++)
            for (int64_t index = 0; index < blocks(s); index++) {
                Block b = block(s, index);
                vec kernel[LARGEST * LARGEST] = {{0}};
                for (int64_t image = part * s.n / count; image < (part + 1) * s.n / count; image++) {
                    const float *from = x + image * s.h * s.w * s.c + b.first;
                    const float *gradient = g + image * s.ho * s.wo * s.c + b.first;
                    fill(plane, height, width, from, s.h, s.w, s.c, b.count, s.padding, 1, 1);
#define CORRELATE(k, stride, count) \
    correlate(plane, width, kernel, k, stride, s.dilation, gradient, s.ho, s.wo, s.c, count)
                    SPECIALISED(CORRELATE, s.k, s.stride, b.count);
#undef CORRELATE
                }
                for (int64_t t = 0; t < taps; t++)
                    store(parts + (part * taps + t) * s.c + b.first, kernel[t], b.count);
            }
        free(plane);
    }
}
