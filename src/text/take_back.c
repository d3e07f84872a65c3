/* SPDX-License-Identifier: MIT */
#include "text/take_back.h"

static bool is_equal(const json_t *a, const json_t *b)
{
	return a && b && json_equal(a, b);
}

/* Trees that can be gone through side by side. */
static bool are_alike(const json_t *now, const json_t *before, const json_t *written)
{
	if (json_is_object(before))
		return json_is_object(now) && json_is_object(written);
	return json_is_array(before) && json_is_array(now) && json_is_array(written) &&
	       json_array_size(now) == json_array_size(before) &&
	       json_array_size(written) == json_array_size(before);
}

/* *ret_put: `before` has to be put in the place of `now`. */
static bool take_back_one(json_t *now, const json_t *before, const json_t *written, bool *ret_put)
{
	*ret_put = false;
	if (is_equal(before, written) || is_equal(now, before))
		return true;
	if (is_equal(now, written)) {
		*ret_put = true;
		return true;
	}
	return are_alike(now, before, written) && take_back(now, before, written);
}

bool take_back(json_t *now, const json_t *before, const json_t *written)
{
	const char *key;
	json_t *value;
	bool put;
	size_t i;

	if (!are_alike(now, before, written))
		return is_equal(now, before);
	json_array_foreach(before, i, value) {
		if (!take_back_one(json_array_get(now, i), value, json_array_get(written, i), &put))
			return false;
		if (put)
			json_array_set(now, i, value);
	}
	json_object_foreach((json_t *)(uintptr_t)before, key, value) {
		if (!take_back_one(json_object_get(now, key), value, json_object_get(written, key),
				   &put))
			return false;
		if (put)
			json_object_set(now, key, value);
	}
	return true;
}
