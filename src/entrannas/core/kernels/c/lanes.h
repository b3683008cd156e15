/* What the loops have in common: a map's channels, LANES at a time. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A register's floats. Of vectors wider than a register, gcc keeps little in registers. */
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t mask __attribute__((vector_size(4 * LANES)));

/* Images, height, width and channels of x, height and width of y, and the kernel's geometry. */
typedef struct {
    int64_t n, h, w, c, ho, wo, k, stride, padding, dilation;
} Shape;

typedef struct {
    int64_t first, count;
} Block; /* channels */

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float *from, int64_t count) {
    vec v = {0};
    if (count == LANES)
        memcpy(&v, from, sizeof v);
    else if (count == 8) /* written out, since gcc 11 and 12 make a copy slow */
        v = (vec){from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
    else
        for (int64_t lane = 0; lane < count; lane++) v[lane] = from[lane];
    return v;
}

INLINE void store(float *to, vec v, int64_t count) {
    if (count == LANES)
        memcpy(to, &v, sizeof v);
    else if (count == 8)
        memcpy(to, &v, 8 * sizeof v[0]);
    else
        for (int64_t lane = 0; lane < count; lane++) to[lane] = v[lane];
}

/* `then` where x is positive, or not a number, and 0 elsewhere. */
INLINE vec where_positive(vec x, vec then) { return (vec)(~(mask)(x <= 0) & (mask)then); }

/* The last block begins early, where the channels are no multiple of LANES, and does a few of them a second time. */
INLINE int64_t blocks(Shape s) { return (s.c + LANES - 1) / LANES; }

INLINE Block block(Shape s, int64_t index) {
    int64_t count = s.c < LANES ? s.c : LANES, first = index * LANES;
    return (Block){first + count > s.c ? s.c - count : first, count};
}
