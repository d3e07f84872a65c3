/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/*
 * The conversation on stderr: progress, warnings, debug lines. Results go to stdout by report/.
 * Text from servers and nodes passes the control-character filter here, so that nobody's answer
 * drives the terminal. Never pass a secret.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_options {
	bool verbose; /* show LOG_DEBUG */
	bool json;    /* one JSON object a line instead of text */
	bool colour;
};

void log_configure(const struct log_options *options);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

/* Called before each line is printed: whoever draws on the terminal takes his drawing away. NULL:
 * nobody. */
void log_before(void (*function)(void *data), void *data);

/* True when log_line(LOG_DEBUG, …) prints. */
bool log_is_verbose(void);

/* Replaces every control character but line feed and tab by '?', in place. */
void log_filter(char *text);

#endif
