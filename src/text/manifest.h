/* SPDX-License-Identifier: MIT */
#ifndef TEXT_MANIFEST_H
#define TEXT_MANIFEST_H

#include "text/yaml.h"

/*
 * Flags of the programs in static-Pod manifests. They stand in spec.containers[].command or .args,
 * as "--flag=value" or as "--flag", "value". A container is the one of `program` when the last part
 * of its command's first word, or else its name, is `program`.
 *
 * An edit leaves every byte alone but those of the flag. A flag that stands twice counts with its
 * last value, as the program reads it; setting changes all.
 */

struct manifest_flag {
	char *name;  /* owned, without dashes */
	char *value; /* owned; NULL for a switch without a value */
	unsigned int line;
};

struct manifest_flags {
	struct manifest_flag *items; /* owned, in order */
	size_t count;
	size_t capacity;
};

/* All flags. ERROR_PARSE (file:line:column) for malformed YAML, and when the program is started
 * through a shell; ERROR_NOT_FOUND when no container is the program's. */
must_check int manifest_flags_read(struct manifest_flags *ret, const char *file, struct slice text,
				   const char *program, struct error *err);

/* The value that counts; NULL when the flag is missing, "" when it has none. Borrowed. */
const char *manifest_flags_get(const struct manifest_flags *flags, const char *name);
bool manifest_flags_has(const struct manifest_flags *flags, const char *name);
void manifest_flags_release(struct manifest_flags *flags);

#define auto_manifest_flags __attribute__((cleanup(manifest_flags_release)))

/* One value: *ret_value is NULL when the flag is missing; the caller frees. */
must_check int manifest_flag_get(const char *file, struct slice text, const char *program,
				 const char *flag, char **ret_value, struct error *err);

/* Appends to *ret the manifest with the flag set; a missing one is added behind the last. The same
 * bytes when it has the value already. */
must_check int manifest_flag_set(const char *file, struct slice text, const char *program,
				 const char *flag, const char *value, struct buffer *ret,
				 struct error *err);

/* Appends to *ret the manifest without the flag. */
must_check int manifest_flag_remove(const char *file, struct slice text, const char *program,
				    const char *flag, struct buffer *ret, struct error *err);

#endif
