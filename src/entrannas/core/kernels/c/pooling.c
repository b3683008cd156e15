/* Max pooling that remembers no places: its gradient looks for the largest again. */

#include "lanes.h"

/* Where the taps of pixel (i, j) of y lie in x: rows and columns from the first to before the last. */
typedef struct {
    int64_t top, bottom, left, right;
} Window;

INLINE int64_t clamped(int64_t a, int64_t most) { return a < 0 ? 0 : a > most ? most : a; }

INLINE Window window(Shape s, int64_t i, int64_t j) {
    int64_t row = i * s.stride - s.padding, column = j * s.stride - s.padding;
    return (Window){clamped(row, s.h), clamped(row + s.k, s.h), clamped(column, s.w), clamped(column + s.k, s.w)};
}

INLINE vec either(mask which, vec a, vec b) { return (vec)((which & (mask)a) | (~which & (mask)b)); }

/* The largest, or what is not a number. */
INLINE vec largest(const float *x, Shape s, Window at, int64_t count) {
    vec most = load(x + (at.top * s.w + at.left) * s.c, count);
    for (int64_t u = at.top; u < at.bottom; u++)
        for (int64_t v = at.left; v < at.right; v++) {
            vec one = load(x + (u * s.w + v) * s.c, count);
            most = either((mask)(one > most) | (mask)(one != one), one, most);
        }
    return most;
}

INLINE void pool(const float *x, float *y, Shape s, int64_t count) {
    for (int64_t i = 0; i < s.ho; i++)
        for (int64_t j = 0; j < s.wo; j++)
            store(y + (i * s.wo + j) * s.c, largest(x, s, window(s, i, j), count), count);
}

/* Give the gradient of each pixel of y to the first of its window that is as large. */
INLINE void give(const float *g, const float *x, float *gx, Shape s, int64_t count) {
    for (int64_t i = 0; i < s.ho; i++)
        for (int64_t j = 0; j < s.wo; j++) {
            Window at = window(s, i, j);
            vec most = largest(x, s, at, count), gradient = load(g + (i * s.wo + j) * s.c, count);
            mask wanted = ~(mask){0};
            for (int64_t u = at.top; u < at.bottom; u++)
                for (int64_t v = at.left; v < at.right; v++) {
                    int64_t place = (u * s.w + v) * s.c;
                    mask here = wanted & (mask)(load(x + place, count) == most);
                    store(gx + place, load(gx + place, count) + (vec)(here & (mask)gradient), count);
                    wanted &= ~here;
                }
        }
}

void pooling_forward(const float *x, float *y, Shape s, int threads) {
#pragma omp parallel for collapse(2) num_threads(threads)
    for (int64_t image = 0; image < s.n; image++)
        for (int64_t index = 0; index < blocks(s); index++) {
            Block b = block(s, index);
            const float *from = x + image * s.h * s.w * s.c + b.first;
            float *to = y + image * s.ho * s.wo * s.c + b.first;
            if (b.count == LANES) pool(from, to, s, LANES);
            else pool(from, to, s, b.count);
        }
}

/* Here the last block must not begin early: what it does a second time would count twice. */
void pooling_backward(const float *g, const float *x, float *gx, Shape s, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t image = 0; image < s.n; image++) {
        const float *from = x + image * s.h * s.w * s.c, *of = g + image * s.ho * s.wo * s.c;
        float *to = gx + image * s.h * s.w * s.c;
        memset(to, 0, s.h * s.w * s.c * sizeof(float));
        for (int64_t c = 0; c < s.c; c += LANES) {
            if (s.c - c >= LANES) give(of + c, from + c, to + c, s, LANES);
            else give(of + c, from + c, to + c, s, s.c - c);
        }
    }
}
