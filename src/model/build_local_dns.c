/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/build.h"
#include "text/json.h"

/* What observe_local_dns() brought. */

static struct cluster_texts local_dns_addresses_of(const struct build *b, const char *list)
{
	struct cluster_texts texts;
	struct slice rest = slice_of(list);
	struct slice item;
	size_t count = 1;

	for (const char *c = list; c && *c; c++)
		count += *c == ',';
	texts = build_room(b, count);
	while (slice_next(&rest, ',', &item)) {
		item = slice_trim(item);
		if (item.len)
			build_add_text(&texts,
				       arena_format(b->arena, "%.*s", (int)item.len, item.ptr));
	}
	return texts;
}

void build_local_dns(const struct build *b)
{
	struct cluster *c = b->cluster;
	const json_t *list = json_path(b->document, "localDNS");
	const json_t *item;
	const json_t *manager;
	size_t i;
	size_t k;

	c->local_dns_unseen = json_is_null(list);
	c->local_dns = arena_array(b->arena, json_array_size(list) + 1, sizeof(*c->local_dns));
	json_array_foreach(list, i, item) {
		struct cluster_local_dns dns = {
			.namespace_ = json_path_text(item, "namespace"),
			.name = json_path_text(item, "name"),
			.config_map = json_path_text(item, "configMap"),
			.corefile = json_path_text(item, "corefile"),
			.leaves_addresses = json_path_bool(item, "leavesAddresses", false),
		};

		if (!dns.namespace_ || !dns.name)
			continue;
		dns.addresses = local_dns_addresses_of(b, json_path_text(item, "addresses"));
		json_array_foreach(json_path(item, "managers"), k, manager) {
			const char *name = json_string_value(manager);

			if (!dns.pinned_by && name && !build_manager_is_single(name))
				dns.pinned_by = name;
		}
		c->local_dns[c->local_dns_count++] = dns;
	}
}
