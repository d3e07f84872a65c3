/* SPDX-License-Identifier: MIT */
#ifndef LIB_OBSERVATION_CASE_H
#define LIB_OBSERVATION_CASE_H

#include <jansson.h>
#include <stdbool.h>

/*
 * The observations of tests/data/doctor/CASE: either observation.json, or the one of another case
 * with edits.json: {"base": "CASE", "edits": [["set", PATH, VALUE], ["remove", PATH],
 * ["append", PATH, VALUE], ["replace-text", FROM, TO], ["replace-in", PATH, FROM, TO]]}. A path has
 * slashes ("~1" is one within a step); a step into a list is an index or the metadata.name, name,
 * role or path of an element. "replace-text" changes every string of the document, "replace-in"
 * those below a path.
 */

/* The observation of the folder "tests/data/doctor/CASE"; a new reference. What is wrong with it
 * fails the test that is open. */
json_t *observation_case_read(const char *dir);

/* Makes one edit; false when its path is not there. */
bool observation_case_edit(json_t *document, const json_t *edit);

#endif
