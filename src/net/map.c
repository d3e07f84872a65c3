/* SPDX-License-Identifier: MIT */
#include "net/map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"

/*
 * The map is built in rounds, from what leaves no choice to what does: the fixed addresses, the
 * user's own pairs, the same host part, and whatever is free for the rest. Each round goes through
 * the old addresses in their order, so that the order of the input does not matter.
 *
 * Free addresses are looked for from the first one up: API servers give addresses to new Services
 * from the upper part of the range, so the lower part is where the fewest collisions are met.
 */

#define NTH_KUBERNETES 1
#define NTH_DNS 10
/* of an old address that is in no old range, this many low bits at most are its host part */
#define HOST_BITS_MOST 63

struct address_set {
	struct net_address *slots; /* owned; open addressing, no address marks a free slot */
	size_t size;		   /* a power of two, at least twice the members */
};

static size_t hash(struct net_address a)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < sizeof(a.bytes); i++)
		h = (h ^ a.bytes[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

static void set_init(struct address_set *set, size_t members)
{
	set->size = 16;
	while (set->size < members * 2)
		set->size *= 2;
	set->slots = alloc_array(set->size, sizeof(*set->slots));
}

static void set_release(struct address_set *set)
{
	free(set->slots);
}

static struct net_address *set_slot(const struct address_set *set, struct net_address a)
{
	size_t i = hash(a) & (set->size - 1);

	while (net_address_is_set(set->slots[i]) && !net_address_equal(set->slots[i], a))
		i = (i + 1) & (set->size - 1);
	return &set->slots[i];
}

static bool set_has(const struct address_set *set, struct net_address a)
{
	return net_address_is_set(*set_slot(set, a));
}

static void set_add(struct address_set *set, struct net_address a)
{
	*set_slot(set, a) = a;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct net_map_pair *left = a, *right = b;

	return net_address_compare(left->from, right->from);
}

const struct net_map_pair *net_map_find(const struct net_map *map, struct net_address from)
{
	struct net_map_pair key = {.from = from};

	if (map->count == 0)
		return NULL;
	return bsearch(&key, map->pairs, map->count, sizeof(key), compare_pairs);
}

void net_map_release(struct net_map *map)
{
	free(map->pairs);
	free(map->file);
	*map = (struct net_map){0};
}

/* ---- the user's file ---- */

struct map_line {
	const char *file;
	unsigned int number;
	struct slice text; /* the whole line */
};

static int line_error(const struct map_line *line, const char *at, struct error *err,
		      const char *what, struct slice name)
{
	return error_set(err, ERROR_PARSE, "%s:%u:%zu: %s '%.*s'", line->file, line->number,
			 (size_t)(at - line->text.ptr) + 1, what,
			 (int)(name.len < 100 ? name.len : 100), name.ptr);
}

/* The next word of the line; '=' separates like white space. */
static struct slice next_word(struct slice *rest)
{
	struct slice word;

	while (rest->len > 0 && strchr(" \t\r=", rest->ptr[0])) {
		rest->ptr++;
		rest->len--;
	}
	word = (struct slice){rest->ptr, 0};
	while (word.len < rest->len && !strchr(" \t\r=#", word.ptr[word.len]))
		word.len++;
	rest->ptr += word.len;
	rest->len -= word.len;
	return word;
}

static int read_line(struct net_map *map, const struct map_line *line, struct error *err)
{
	struct net_map_pair pair = {.origin = NET_MAP_OWN, .line = line->number};
	struct slice rest = line->text, old, new, more;

	old = next_word(&rest);
	if (old.len == 0 && (rest.len == 0 || rest.ptr[0] == '#'))
		return 0;
	if (!net_address_read(old, &pair.from))
		return line_error(line, old.ptr, err, "not an IP address:", old);
	new = next_word(&rest);
	if (new.len == 0)
		return line_error(line, new.ptr, err, "no new address for", old);
	if (!net_address_read(new, &pair.to))
		return line_error(line, new.ptr, err, "not an IP address:", new);
	more = next_word(&rest);
	if (more.len > 0)
		return line_error(line, more.ptr, err, "unexpected text behind the pair:", more);
	if (pair.from.family != pair.to.family)
		return line_error(line, new.ptr, err, "not of the old address's family:", new);
	ALLOC_GROW(map->pairs, map->count, map->capacity);
	map->pairs[map->count++] = pair;
	return 0;
}

static int compare_targets(const void *a, const void *b)
{
	const struct net_map_pair *left = a, *right = b;
	int order = net_address_compare(left->to, right->to);

	return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

static int compare_sources(const void *a, const void *b)
{
	const struct net_map_pair *left = a, *right = b;
	int order = net_address_compare(left->from, right->from);

	return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

/* Leaves the pairs sorted by their old address. */
static int refuse_duplicates(struct net_map *map, struct error *err)
{
	if (map->count == 0)
		return 0;
	qsort(map->pairs, map->count, sizeof(*map->pairs), compare_targets);
	for (size_t i = 1; i < map->count; i++) {
		const struct net_map_pair *a = &map->pairs[i - 1], *b = &map->pairs[i];

		if (net_address_equal(a->to, b->to))
			return error_set(err, ERROR_PARSE,
					 "%s:%u: new address '%s' is given twice, first in line %u",
					 map->file, b->line, net_address_text(b->to).text, a->line);
	}
	qsort(map->pairs, map->count, sizeof(*map->pairs), compare_sources);
	for (size_t i = 1; i < map->count; i++) {
		const struct net_map_pair *a = &map->pairs[i - 1], *b = &map->pairs[i];

		if (net_address_equal(a->from, b->from))
			return error_set(err, ERROR_PARSE,
					 "%s:%u: old address '%s' stands twice, first in line %u",
					 map->file, b->line, net_address_text(b->from).text,
					 a->line);
	}
	return 0;
}

int net_map_read(struct net_map *map, const char *file, struct slice text, struct error *err)
{
	auto_net_map struct net_map read = {.file = alloc_text(file)};
	struct map_line line = {.file = file};
	struct slice rest = text;

	if (text.len > 0 && memchr(text.ptr, '\0', text.len))
		return error_set(err, ERROR_PARSE, "%s: holds a NUL byte: not a map file", file);
	while (slice_next(&rest, '\n', &line.text)) {
		line.number++;
		if (read_line(&read, &line, err) < 0)
			return -1;
	}
	if (refuse_duplicates(&read, err) < 0)
		return -1;
	net_map_release(map);
	*map = read;
	read = (struct net_map){0};
	return 0;
}

/* ---- the map ---- */

struct builder {
	const struct net_map_request *request;
	struct net_map map;	 /* pairs sorted by from; `to` is unset while undecided */
	struct address_set used; /* new addresses that somebody has */
	uint64_t next_free[2];	 /* where the search of each range goes on */
};

static void builder_release(struct builder *b)
{
	net_map_release(&b->map);
	set_release(&b->used);
}

static const struct net_cidr *target_of(const struct net_map_request *request,
					struct net_address from, size_t *ret_index)
{
	for (size_t i = 0; i < request->to_count; i++) {
		if (request->to[i].base.family == from.family) {
			*ret_index = i;
			return &request->to[i];
		}
	}
	return NULL;
}

static bool among(const struct net_address *list, size_t count, struct net_address a)
{
	for (size_t i = 0; i < count; i++)
		if (net_address_equal(list[i], a))
			return true;
	return false;
}

static bool is_reserved(struct net_cidr to, struct net_address a)
{
	return net_address_equal(a, to.base) || net_address_equal(a, net_cidr_nth(to, NTH_DNS)) ||
	       net_address_equal(a, net_cidr_nth(to, NTH_KUBERNETES)) ||
	       (to.base.family == NET_IPV4 && net_address_equal(a, net_cidr_last(to)));
}

/* The part of an old address that it keeps; UINT64_MAX when that does not fit into any range. */
static uint64_t host_part(const struct net_map_request *request, struct net_address from,
			  struct net_cidr to)
{
	const struct net_cidr *inside = NULL;
	unsigned int width = (unsigned int)net_address_size(from) * 8, bits = to.bits;

	for (size_t i = 0; i < request->from_count; i++)
		if (net_cidr_contains(request->from[i], from) &&
		    (!inside || request->from[i].bits > inside->bits))
			inside = &request->from[i];
	if (inside)
		return net_cidr_host(*inside, from);
	if (width - bits > HOST_BITS_MOST)
		bits = width - HOST_BITS_MOST;
	return net_cidr_host(net_cidr_of(from, bits), from);
}

static void decide(struct builder *b, struct net_map_pair *pair, struct net_address to,
		   enum net_map_origin origin)
{
	pair->to = to;
	pair->origin = origin;
	set_add(&b->used, to);
}

/* One pair for each address, sorted, duplicates gone. */
static int list_addresses(struct builder *b, struct error *err)
{
	const struct net_map_request *request = b->request;
	size_t kept = 0, index = 0;

	b->map.capacity = request->address_count;
	b->map.pairs = alloc_array(request->address_count + 1, sizeof(*b->map.pairs));
	for (size_t i = 0; i < request->address_count; i++) {
		if (!target_of(request, request->addresses[i], &index))
			return error_set(err, ERROR_REFUSED,
					 "address '%s' has no new range of its family",
					 net_address_text(request->addresses[i]).text);
		b->map.pairs[i].from = request->addresses[i];
	}
	qsort(b->map.pairs, request->address_count, sizeof(*b->map.pairs), compare_pairs);
	for (size_t i = 0; i < request->address_count; i++)
		if (kept == 0 ||
		    !net_address_equal(b->map.pairs[kept - 1].from, b->map.pairs[i].from))
			b->map.pairs[kept++] = b->map.pairs[i];
	b->map.count = kept;
	return 0;
}

static void round_fixed(struct builder *b)
{
	const struct net_map_request *request = b->request;

	for (size_t i = 0; i < b->map.count; i++) {
		struct net_map_pair *pair = &b->map.pairs[i];
		size_t index = 0;
		const struct net_cidr *to = target_of(request, pair->from, &index);

		assert(to); /* list_addresses() refused an address without one */
		if (among(request->kubernetes, request->kubernetes_count, pair->from))
			decide(b, pair, net_cidr_nth(*to, NTH_KUBERNETES), NET_MAP_FIXED);
		else if (among(request->dns, request->dns_count, pair->from) &&
			 net_address_is_set(net_cidr_nth(*to, NTH_DNS)) &&
			 !net_address_equal(net_cidr_nth(*to, NTH_DNS), net_cidr_last(*to)))
			decide(b, pair, net_cidr_nth(*to, NTH_DNS), NET_MAP_FIXED);
	}
}

static int own_error(const struct builder *b, const struct net_map_pair *own, struct error *err,
		     const char *what)
{
	return error_set(err, ERROR_PARSE, "%s:%u: new address '%s' of '%s' %s",
			 b->request->own->file ? b->request->own->file : "map", own->line,
			 net_address_text(own->to).text, net_address_text(own->from).text, what);
}

static int round_own(struct builder *b, struct error *err)
{
	for (size_t i = 0; b->request->own && i < b->map.count; i++) {
		struct net_map_pair *pair = &b->map.pairs[i];
		const struct net_map_pair *own = net_map_find(b->request->own, pair->from);
		size_t index = 0;
		const struct net_cidr *to = target_of(b->request, pair->from, &index);

		if (!own || net_address_equal(own->to, pair->to))
			continue;
		if (net_address_is_set(pair->to))
			return own_error(b, own, err,
					 "cannot be: the address of 'kubernetes' and of the "
					 "cluster's DNS are the first and the tenth of the range");
		if (!net_cidr_contains(*to, own->to))
			return own_error(b, own, err, "is outside of the new range");
		if (is_reserved(*to, own->to))
			return own_error(b, own, err,
					 "is reserved (network, broadcast, 'kubernetes' or DNS)");
		if (set_has(&b->used, own->to))
			return own_error(b, own, err, "is taken already");
		decide(b, pair, own->to, NET_MAP_OWN);
		pair->line = own->line;
	}
	return 0;
}

static void round_same_host(struct builder *b)
{
	for (size_t i = 0; i < b->map.count; i++) {
		struct net_map_pair *pair = &b->map.pairs[i];
		size_t index = 0;
		const struct net_cidr *to = target_of(b->request, pair->from, &index);
		struct net_address same;

		if (net_address_is_set(pair->to))
			continue;
		same = net_cidr_nth(*to, host_part(b->request, pair->from, *to));
		if (net_address_is_set(same) && !is_reserved(*to, same) && !set_has(&b->used, same))
			decide(b, pair, same, NET_MAP_SAME_HOST);
	}
}

static int round_rest(struct builder *b, struct error *err)
{
	for (size_t i = 0; i < b->map.count; i++) {
		struct net_map_pair *pair = &b->map.pairs[i];
		size_t index = 0;
		const struct net_cidr *to = target_of(b->request, pair->from, &index);
		struct net_address free_one;

		if (net_address_is_set(pair->to))
			continue;
		do {
			free_one = net_cidr_nth(*to, ++b->next_free[index]);
			if (!net_address_is_set(free_one))
				return error_set(err, ERROR_REFUSED,
						 "range '%s' is too small: no address is left for "
						 "'%s' (%zu to move, %zu taken)",
						 net_cidr_text(*to).text,
						 net_address_text(pair->from).text, b->map.count,
						 b->request->taken_count);
		} while (is_reserved(*to, free_one) || set_has(&b->used, free_one));
		decide(b, pair, free_one, NET_MAP_CHOSEN);
	}
	return 0;
}

int net_map_build(struct net_map *map, const struct net_map_request *request, struct error *err)
{
	__attribute__((cleanup(builder_release))) struct builder b = {.request = request};

	set_init(&b.used, request->address_count + request->taken_count + 1);
	if (request->to_count > 2)
		return error_set(err, ERROR_USAGE, "more than two new ranges");
	if (list_addresses(&b, err) < 0)
		return -1;
	for (size_t i = 0; i < request->taken_count; i++)
		if (net_address_is_set(request->taken[i]))
			set_add(&b.used, request->taken[i]);
	round_fixed(&b);
	if (round_own(&b, err) < 0)
		return -1;
	round_same_host(&b);
	if (round_rest(&b, err) < 0)
		return -1;
	net_map_release(map);
	*map = b.map;
	b.map = (struct net_map){0};
	return 0;
}
