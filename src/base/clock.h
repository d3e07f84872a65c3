/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The one source of time. Tests drive it with clock_set_virtual(); nothing else in the program
 * calls time(), clock_gettime() or nanosleep(), and certificates are judged by it too (OpenSSL is told).
 */

/* Milliseconds since an arbitrary moment; never goes back. */
int64_t clock_monotonic_ms(void);

/* Seconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_s(void);
/* The same in milliseconds. */
int64_t clock_wall_ms(void);

/* Waits. -1 (ERROR_INTERRUPTED) when the user asked to stop (base/interrupt.h) meanwhile. */
must_check int clock_sleep_ms(int64_t ms, struct error *err);

/* "2026-11-22T20:15:00Z" (RFC 3339, UTC); the caller frees. */
char *clock_format(int64_t wall_s);

/* Reads RFC 3339 as Kubernetes writes it (UTC 'Z' or an offset, fraction ignored). False when it is not. */
bool clock_parse(const char *text, int64_t *ret_wall_s);

/* "3 s", "2 min 10 s", "4 h 5 min"; the caller frees. */
char *clock_duration(int64_t ms);

/* From here on both clocks stand still at these values and clock_sleep_ms advances them at once. */
void clock_set_virtual(int64_t monotonic_ms, int64_t wall_s);

#endif
