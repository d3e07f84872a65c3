/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "base/cleanup.h"

/*
 * The one error idiom. Every fallible function returns 0 or -1 (or a pointer or NULL), takes a
 * `struct error *` last (never NULL), and leaves it untouched on success. The error is a value on
 * the caller's stack: `auto_error struct error err = {0};`.
 *
 * A kind exists only where some caller acts differently on it. All human detail is in the
 * message: lower case, no full stop, the fact first, names in single quotes.
 */
enum error_kind {
	ERROR_NONE = 0,
	ERROR_USAGE,	   /* the command line is wrong; exit 1 */
	ERROR_IO,	   /* a file, a pipe, a disk */
	ERROR_PARSE,	   /* input that is not what it should be; carries place */
	ERROR_NETWORK,	   /* no answer: may be tried again */
	ERROR_API,	   /* the server said no, and saying it again will not help */
	ERROR_CONFLICT,	   /* a precondition did not hold: read again, decide again */
	ERROR_NOT_FOUND,   /* it is not there: fine when deleting */
	ERROR_REFUSED,	   /* valid input, but a safety check failed; nothing was changed; exit 3 */
	ERROR_STOPPED,	   /* stopped part-way, safe; resume or rollback goes on; exit 4 */
	ERROR_INTERRUPTED, /* the user asked to stop; exit 4 when a run is open */
};

struct error {
	enum error_kind kind;
	char *message; /* owned */
};

#define must_check __attribute__((warn_unused_result))

/*
 * What sets an error is called through a macro that says -1 to the compiler too: it then knows that
 * `if (f(&value, err) < 0) return -1;` leaves value set, in every caller of f.
 */
static inline int error_failure(void)
{
	return -1;
}

/* error_set(err, kind, fmt, …): sets kind and message, replacing what was there. Always -1. */
#define error_set(...) (error_put(__VA_ARGS__), error_failure())
__attribute__((format(printf, 3, 4))) void error_put(struct error *err, enum error_kind kind,
						     const char *fmt, ...);

/* error_errno(err, fmt, …): the same with ": " and the text of errno behind; ENOENT becomes
 * ERROR_NOT_FOUND, all else ERROR_IO. Always -1. */
#define error_errno(...) (error_put_errno(__VA_ARGS__), error_failure())
__attribute__((format(printf, 2, 3))) void error_put_errno(struct error *err, const char *fmt, ...);

/* error_wrap(err, fmt, …): puts "context: " before the message and keeps the kind. Always -1. */
#define error_wrap(...) (error_put_context(__VA_ARGS__), error_failure())
__attribute__((format(printf, 2, 3))) void error_put_context(struct error *err, const char *fmt,
							     ...);

/* The message, never NULL. Borrowed from err. */
const char *error_text(const struct error *err);

/* Frees the message and returns err to ERROR_NONE. */
void error_release(struct error *err);

/* error_move(to, from): moves *from to *to (releasing what *to held); *from is empty afterwards.
 * Always -1. */
#define error_move(to, from) (error_take((to), (from)), error_failure())
void error_take(struct error *to, struct error *from);

#define auto_error __attribute__((cleanup(error_release)))

#endif
