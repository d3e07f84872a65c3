/* SPDX-License-Identifier: MIT */
#include "cmd/recorded.h"

#include "base/file.h"
#include "base/limits.h"
#include "text/json.h"

int recorded_cluster(const char *path, struct cluster **ret, struct error *err)
{
	auto_buffer struct buffer text = {.max = LIMIT_HTTP_BODY};
	auto_json json_t *observation = NULL;

	if (file_read(path, LIMIT_HTTP_BODY, &text, err) < 0)
		return -1;
	observation = json_parse(buffer_as_slice(&text), path, err);
	if (!observation)
		return -1;
	return cluster_build(observation, ret, err);
}
