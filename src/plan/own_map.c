/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "plan/planner.h"

/*
 * The user's own addresses. A line names the Service by its old address or by its name:
 *
 *	10.96.0.20      10.17.4.20
 *	shop/cart     = 10.17.4.21    # comment
 *
 * Names are replaced by addresses, line by line, and the rest is net/map.h's.
 */
static struct slice own_word(struct slice line)
{
	static const char blank[] = " \t\r=#";
	struct slice word;
	size_t begin = 0;

	while (begin < line.len && (line.ptr[begin] == ' ' || line.ptr[begin] == '\t'))
		begin++;
	word = (struct slice){line.ptr + begin, 0};
	while (begin + word.len < line.len && !strchr(blank, word.ptr[word.len]))
		word.len++;
	return word;
}

static const struct cluster_service *own_service(const struct planner *p, struct slice name)
{
	const char *slash = memchr(name.ptr, '/', name.len);
	auto_free char *namespace_ = alloc_text_n(name.ptr, (size_t)(slash - name.ptr));
	auto_free char *rest = alloc_text_n(slash + 1, name.len - (size_t)(slash - name.ptr) - 1);

	return cluster_find_service(p->cluster, namespace_, rest);
}

static int own_line(const struct planner *p, struct slice line, unsigned int number,
		    struct buffer *out, struct error *err)
{
	struct slice word = own_word(line);
	const struct cluster_service *service;

	if (!word.len || !memchr(word.ptr, '/', word.len)) {
		buffer_slice(out, line);
		return 0;
	}
	service = own_service(p, word);
	if (!service)
		return error_set(err, ERROR_PARSE, "%s:%u:%zu: there is no Service '%.*s'",
				 p->request->map_file, number, (size_t)(word.ptr - line.ptr) + 1,
				 (int)word.len, word.ptr);
	if (!service->cluster_ips.count)
		return error_set(err, ERROR_PARSE, "%s:%u:%zu: Service '%.*s' has no address",
				 p->request->map_file, number, (size_t)(word.ptr - line.ptr) + 1,
				 (int)word.len, word.ptr);
	buffer_text(out, service->cluster_ips.items[0]);
	buffer_append(out, word.ptr + word.len,
		      line.len - (size_t)(word.ptr + word.len - line.ptr));
	return 0;
}

int planner_own_map(const struct planner *p, struct net_map *ret, struct error *err)
{
	auto_buffer struct buffer text = {0};
	struct slice rest = p->request->map_text;
	struct slice line;
	unsigned int number = 0;

	if (!p->request->map_file)
		return 0;
	while (slice_next(&rest, '\n', &line)) {
		if (own_line(p, line, ++number, &text, err) < 0)
			return -1;
		buffer_char(&text, '\n');
	}
	return net_map_read(ret, p->request->map_file, buffer_as_slice(&text), err);
}

int planner_check_own_map(const struct planner *p, const struct net_map *own, struct error *err)
{
	for (size_t i = 0; i < own->count; i++) {
		const struct net_map_pair *pair = &own->pairs[i];

		if (!net_map_find(&p->map, pair->from))
			return error_set(err, ERROR_PARSE,
					 "%s:%u: no Service that moves has the address '%s'",
					 own->file, pair->line, net_address_text(pair->from).text);
	}
	return 0;
}
