/* SPDX-License-Identifier: MIT */
#include "model/build.h"

#include <string.h>

#include "base/clock.h"
#include "net/address.h"
#include "text/json.h"

struct cluster_texts build_room(const struct build *b, size_t count)
{
	return (struct cluster_texts){
		.items = arena_array(b->arena, count ? count : 1, sizeof(const char *)),
	};
}

void build_add_text(struct cluster_texts *texts, const char *text)
{
	if (text && !cluster_texts_contain(texts, text))
		texts->items[texts->count++] = text;
}

const char *build_address(const struct build *b, const char *text)
{
	struct net_address address;

	if (!text || !net_address_read(slice_of(text), &address))
		return text;
	if (strcmp(net_address_text(address).text, text) == 0)
		return text;
	return arena_text(b->arena, net_address_text(address).text);
}

struct cluster_texts build_texts(const struct build *b, const json_t *array)
{
	struct cluster_texts texts = build_room(b, json_array_size(array));
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
		build_add_text(&texts, build_address(b, json_string_value(item)));
	return texts;
}

int64_t build_time(const json_t *object, const char *path)
{
	const char *text = json_path_text(object, path);
	int64_t seconds = 0;

	if (text && clock_parse(text, &seconds))
		return seconds;
	return 0;
}
