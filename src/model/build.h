/* SPDX-License-Identifier: MIT */
#ifndef MODEL_BUILD_H
#define MODEL_BUILD_H

#include "model/arena.h"
#include "model/cluster.h"

/*
 * The parts of cluster_build(), each filling its fields of the cluster. Inside of src/model only.
 * They run in the order in which they stand here, and read what those before them filled.
 */
struct build {
	struct cluster *cluster;
	struct arena *arena;
	const json_t *document;
};

void build_objects(const struct build *b);   /* nodes, Services, ServiceCIDRs, Pods, events */
void build_config(const struct build *b);    /* ConfigMaps */
void build_local_dns(const struct build *b); /* NodeLocal DNSCache */
void build_hosts(const struct build *b);     /* what the machines said */
void build_surroundings(const struct build *b);
void build_regime(const struct build *b);
void build_ranges(const struct build *b);
void build_dead(const struct build *b);

/* Reading the document. Texts are borrowed from it. */
struct cluster_texts build_texts(const struct build *b, const json_t *array);
int64_t build_time(const json_t *object, const char *path);

/* Puts one text into a list that has room for it, unless it is there. */
void build_add_text(struct cluster_texts *texts, const char *text);
struct cluster_texts build_room(const struct build *b, size_t count);

/* A field manager that wrote a value once and does not write it again by itself. */
bool build_manager_is_single(const char *manager);

/* Canonical text of an address, or the text itself when it is none. */
const char *build_address(const struct build *b, const char *text);

#endif
