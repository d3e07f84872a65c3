/* SPDX-License-Identifier: MIT */
#ifndef KUBE_DOCUMENT_H
#define KUBE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/slice.h"

struct fy_node;
struct fy_document;

/*
 * One kubeconfig file as a YAML tree that points into its own wiped copy of the text. A value that
 * is missing, null or "" counts as absent, as kubectl has it. A value of the wrong type is an
 * ERROR_PARSE with file:line:column.
 */
struct kube_document {
	char *file;	    /* owned; for messages */
	char *folder;	    /* owned; where relative paths in it begin */
	struct secret text; /* the tree points into it */
	struct fy_document *tree;
	struct fy_node *root; /* NULL: the file is empty */
};

must_check int kube_document_parse(struct kube_document *ret, struct slice text, const char *file,
				   struct error *err);
void kube_document_release(struct kube_document *document);

#define auto_kube_document __attribute__((cleanup(kube_document_release)))

/* ERROR_PARSE "file:line:column: …" at this node. Always -1. */
__attribute__((format(printf, 4, 5))) int kube_document_error(const struct kube_document *document,
							      struct fy_node *node,
							      struct error *err, const char *fmt,
							      ...);

/* The value of a key, whatever it is; NULL when absent. */
struct fy_node *kube_document_value(struct fy_node *mapping, const char *key);

/* The scalar under a key, borrowed from the document; the empty slice when absent. */
must_check int kube_document_scalar(const struct kube_document *document, struct fy_node *mapping,
				    const char *key, struct slice *ret, struct error *err);

/* The same as a copy to be freed, NULL when absent. What *ret was is not freed. */
must_check int kube_document_text(const struct kube_document *document, struct fy_node *mapping,
				  const char *key, char **ret, struct error *err);

/* true or false; *ret stays when absent. */
must_check int kube_document_flag(const struct kube_document *document, struct fy_node *mapping,
				  const char *key, bool *ret, struct error *err);

/* The mapping under a key; NULL when absent. */
must_check int kube_document_mapping(const struct kube_document *document, struct fy_node *mapping,
				     const char *key, struct fy_node **ret, struct error *err);

/* The items of a sequence; 0 when the node is NULL. */
size_t kube_document_count(struct fy_node *sequence);
struct fy_node *kube_document_item(struct fy_node *sequence, size_t index);

/* The sequence under a key; NULL when absent. */
must_check int kube_document_sequence(const struct kube_document *document, struct fy_node *mapping,
				      const char *key, struct fy_node **ret, struct error *err);

/* A sequence of texts as a NULL-terminated list of copies, NULL when absent. */
must_check int kube_document_texts(const struct kube_document *document, struct fy_node *mapping,
				   const char *key, char ***ret, struct error *err);

/* In the list under `list` ("clusters") the entry named `name`: the mapping under its key `body`
 * ("cluster"). NULL when there is no such entry. */
must_check int kube_document_entry(const struct kube_document *document, const char *list,
				   struct slice name, const char *body, struct fy_node **ret,
				   struct error *err);

/* The mapping or sequence as JSON on one line, to be freed; NULL when it cannot be written so. */
char *kube_document_json(struct fy_node *node);

#endif
