/* SPDX-License-Identifier: MIT */
#include "text/local_dns.h"

#include <string.h>

#include "text/json.h"

/* Of "-NAME": where its value begins, when it is in the same word; "" when it is not; NULL: another
 * word. */
static const char *argument_value(const char *word, const char *name)
{
	if (!word || *word != '-')
		return NULL;
	word += word[1] == '-' ? 2 : 1;
	if (strncmp(word, name, strlen(name)) != 0)
		return NULL;
	word += strlen(name);
	if (*word == '\0')
		return word;
	return *word == '=' ? word + 1 : NULL;
}

/* Where the value stands: the index of its word in `words`, *ret_value its text. */
static bool find_localip(const json_t *words, size_t *ret_at, const char **ret_value)
{
	for (size_t i = 0; i < json_array_size(words); i++) {
		const char *value =
			argument_value(json_string_value(json_array_get(words, i)), "localip");

		if (!value)
			continue;
		*ret_at = *value ? i : i + 1;
		*ret_value = *value ? value : json_string_value(json_array_get(words, i + 1));
		if (*ret_value)
			return true;
	}
	return false;
}

static const char *const word_lists[] = {"command", "args"};
#define WORD_LISTS (sizeof(word_lists) / sizeof(word_lists[0]))

char *local_dns_addresses(const json_t *template)
{
	const json_t *container;
	const char *value;
	size_t at;
	size_t i;

	json_array_foreach(json_path(template, "spec.containers"), i, container) {
		for (size_t k = 0; k < WORD_LISTS; k++)
			if (find_localip(json_object_get(container, word_lists[k]), &at, &value))
				return slice_dup(slice_of(value));
	}
	return NULL;
}

bool local_dns_leaves_addresses(const json_t *template)
{
	const json_t *container;
	const json_t *word;
	size_t i;
	size_t k;

	json_array_foreach(json_path(template, "spec.containers"), i, container) {
		for (size_t list = 0; list < WORD_LISTS; list++) {
			json_array_foreach(json_object_get(container, word_lists[list]), k, word) {
				const char *value =
					argument_value(json_string_value(word), "skipteardown");

				if (value && !strchr("0fF", *value ? *value : 't'))
					return true;
			}
		}
	}
	return false;
}

const char *local_dns_config_map(const json_t *template, size_t i)
{
	const json_t *volume;
	size_t k;

	json_array_foreach(json_path(template, "spec.volumes"), k, volume) {
		const char *name = json_path_text(volume, "configMap.name");

		if (name && i-- == 0)
			return name;
	}
	return NULL;
}

bool local_dns_mounts(const json_t *template, const char *config_map)
{
	const char *name;

	for (size_t i = 0; (name = local_dns_config_map(template, i)); i++)
		if (strcmp(name, config_map) == 0)
			return true;
	return false;
}

static void edit_words(json_t *words, enum corefile_edit edit, const struct corefile_move *moves,
		       size_t count)
{
	auto_buffer struct buffer word = {0};
	const char *value;
	const char *whole;
	size_t at;

	if (!find_localip(words, &at, &value))
		return;
	whole = json_string_value(json_array_get(words, at));
	buffer_append(&word, whole, (size_t)(value - whole));
	corefile_edit_list(slice_of(value), edit, moves, count, &word);
	json_array_set_new(words, at, json_string(buffer_cstr(&word)));
}

static void edit_probes(json_t *container, const struct corefile_move *moves, size_t count)
{
	static const char *const actions[] = {
		"livenessProbe.httpGet",    "livenessProbe.tcpSocket", "readinessProbe.httpGet",
		"readinessProbe.tcpSocket", "startupProbe.httpGet",    "startupProbe.tcpSocket",
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		json_t *action = json_path(container, actions[i]);
		const char *host = json_path_text(action, "host");

		for (size_t k = 0; k < count && host; k++) {
			if (strcmp(host, moves[k].from) != 0)
				continue;
			json_object_set_new(action, "host", json_string(moves[k].to));
			break;
		}
	}
}

json_t *local_dns_edit(const json_t *template, enum corefile_edit edit,
		       const struct corefile_move *moves, size_t count, const char *from,
		       const char *to)
{
	json_t *copy = json_deep_copy(template);
	json_t *item;
	size_t i;

	json_array_foreach(json_path(copy, "spec.containers"), i, item) {
		for (size_t k = 0; k < WORD_LISTS; k++)
			edit_words(json_object_get(item, word_lists[k]), edit, moves, count);
		edit_probes(item, moves, count);
	}
	json_array_foreach(json_path(copy, "spec.volumes"), i, item) {
		if (json_path_is(item, "configMap.name", from))
			json_object_set_new(json_object_get(item, "configMap"), "name",
					    json_string(to));
	}
	return copy;
}

static json_t *only(const json_t *object, const char *const members[], size_t count)
{
	json_t *copy = json_object();

	for (size_t i = 0; i < count; i++) {
		json_t *value = json_object_get(object, members[i]);

		if (value)
			json_object_set_new(copy, members[i], json_deep_copy(value));
	}
	return copy;
}

json_t *local_dns_editable(const json_t *template)
{
	static const char *const of_container[] = {"command", "args", "livenessProbe",
						   "readinessProbe", "startupProbe"};
	static const char *const of_volume[] = {"configMap"};
	json_t *containers = json_array();
	json_t *volumes = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(json_path(template, "spec.containers"), i, item)
		json_array_append_new(containers, only(item, of_container, 5));
	json_array_foreach(json_path(template, "spec.volumes"), i, item)
		json_array_append_new(volumes, only(item, of_volume, 1));
	return json_pack("{s:{s:o, s:o}}", "spec", "containers", containers, "volumes", volumes);
}
