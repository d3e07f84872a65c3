/* SPDX-License-Identifier: MIT */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "kube/config.h"
#include "kube/path.h"
#include "kube/reply.h"
#include "text/json.h"

/*
 * The Kubernetes API over HTTP. Calling sequence:
 *
 *	auto_kube_client struct kube_client *kube = kube_client_open(&config, NULL, err);
 *	const struct kube_target dns = {.version = "v1", .plural = "services",
 *					.space = "kube-system", .name = "kube-dns"};
 *	auto_json json_t *service = NULL;
 *
 *	if (kube_client_get(kube, &dns, &service, err) < 0)
 *		return error_wrap(err, "…");
 *
 * Errors of every call: ERROR_NETWORK no answer, or one cut short (the message has server and
 * cause); ERROR_NOT_FOUND 404; ERROR_CONFLICT 409 and 412, that is a precondition that did not
 * hold or a name that is taken; ERROR_NETWORK also for 429, 502, 503 and 504 to the end of our
 * patience, and for a 500 in which etcd speaks; ERROR_API all other refusals, with the server's own words;
 * ERROR_PARSE an answer that is no JSON; ERROR_INTERRUPTED the user asked to stop while we waited.
 *
 * Repeated with back-off: 429 and whatever carries Retry-After, always; 502, 503, 504 and a lost
 * connection for reads and for writes marked `repeatable`. A request on its way is not cut short
 * by ^C, waiting is.
 *
 * No threads: one client belongs to one thread.
 */
struct kube_client;

struct kube_client_options {
	int64_t request_timeout_ms; /* --request-timeout, for each attempt; 0: 60 s; < 0: none */
	int64_t connect_timeout_ms; /* TLS included; 0: 10 s, or request_timeout_ms where that is less */
	int64_t retry_ms; /* go on trying for so long; 0: 20 s; < 0: one attempt. A server that
			   * never answered yet is tried for one second only. */
};

/* Does not connect yet. `config` stays the caller's and must outlive the client; options may be
 * NULL. */
must_check struct kube_client *kube_client_open(const struct kube_config *config,
						const struct kube_client_options *options,
						struct error *err);

/* A client with exactly one connection, for requests that must meet one server, also through a
 * load balancer. When the connection is lost nothing is sent on another one: the request fails
 * with ERROR_NETWORK until kube_client_repin(). `kube` must outlive it. */
must_check struct kube_client *kube_client_pinned(struct kube_client *kube, struct error *err);
void kube_client_repin(struct kube_client *pinned);

/* A client with the same credentials that connects to this address ("10.1.15.121", "fd00::1" or a
 * host name) to ask one certain server; never through a proxy. Its certificate must have the name
 * of the kubeconfig's server, or else this address.
 * `kube` must outlive it. */
must_check struct kube_client *kube_client_at(struct kube_client *kube, const char *address,
					      uint16_t port, struct error *err);

/* Closes its connections. Children first. NULL is fine. */
void kube_client_free(struct kube_client *kube);

/* "https://10.1.15.254:6443", with " at 10.1.15.121:6443" behind it for kube_client_at(); for
 * messages. Borrowed. */
const char *kube_client_server(const struct kube_client *kube);
const struct kube_config *kube_client_config(const struct kube_client *kube);

static inline void kube_client_cleanup(struct kube_client **kube)
{
	kube_client_free(*kube);
}

#define auto_kube_client __attribute__((cleanup(kube_client_cleanup)))

enum kube_method {
	KUBE_GET,
	KUBE_POST,
	KUBE_PUT,
	KUBE_PATCH_MERGE,
	KUBE_PATCH_JSON,
	KUBE_PATCH_STRATEGIC, /* not for custom resources */
	KUBE_PATCH_APPLY,     /* server-side apply; the body is JSON */
	KUBE_DELETE,
};

struct kube_request {
	enum kube_method method;
	const char *path;   /* percent-encoded, from the first slash, with the query */
	struct slice body;  /* JSON; empty: none */
	const char *accept; /* NULL: application/json */
	bool repeatable;    /* doing it twice is as good as once (reads always are) */
	bool once;	    /* one attempt, whatever comes: when somebody else may be to blame */
	int64_t timeout_ms; /* 0: the client's */
};

/* The request itself; 2xx is success. What *reply held is released first. */
must_check int kube_client_send(struct kube_client *kube, const struct kube_request *request,
				struct kube_reply *reply, struct error *err);

/* GET of any path ("/readyz?verbose", "/version") as text. */
must_check int kube_client_get_raw(struct kube_client *kube, const char *path,
				   struct kube_reply *reply, struct error *err);

/* A GET whose answer is wanted as it comes (kube/watch.h is made of it). */
struct kube_stream {
	const char *path;
	int64_t timeout_ms; /* 0: the client's */
	/* Takes a piece of an answer with this HTTP status; false ends it. */
	bool (*take)(void *data, int status, struct slice bytes);
	void *data;
};

/* One attempt. 0 for an answer of any status but 401, *ret_status has it; also when `take` ended
 * it. ^C ends it with ERROR_INTERRUPTED. */
must_check int kube_client_stream(struct kube_client *kube, const struct kube_stream *stream,
				  int *ret_status, struct error *err);

/* The caller releases *ret (json_decref, auto_json), here and below. */
must_check int kube_client_get(struct kube_client *kube, const struct kube_target *target,
			       json_t **ret, struct error *err);

struct kube_list_options {
	const char *label_selector;
	const char *field_selector;
	unsigned page_size; /* 0: 500 */
	bool once; /* as in struct kube_request; for aggregated APIs, whose servers may be gone */
};

/* The items of one page, borrowed. `first`: nothing came before, or the listing had to start over
 * (410 Gone): forget what earlier calls brought. A failure ends the listing. */
typedef int (*kube_list_page)(void *data, const json_t *items, bool first, struct error *err);

/* Lists page by page. Items get the apiVersion and kind that the server leaves out.
 * *ret_version (may be NULL): the resourceVersion to watch from; the caller frees. options may be
 * NULL. */
must_check int kube_client_list_pages(struct kube_client *kube, const struct kube_target *target,
				      const struct kube_list_options *options, kube_list_page page,
				      void *data, char **ret_version, struct error *err);

/* All items in one array. */
must_check int kube_client_list(struct kube_client *kube, const struct kube_target *target,
				const struct kube_list_options *options, json_t **ret_items,
				char **ret_version, struct error *err);

/* NULL stands for {0} in the calls below. */
struct kube_write_options {
	bool dry_run;	 /* dryRun=All */
	bool repeatable; /* as in struct kube_request */
	const char *uid; /* precondition, or NULL: ERROR_CONFLICT when it is another one */
	const char *resource_version; /* precondition, or NULL (create: ignored) */
	const char
		*propagation; /* delete: "Foreground", "Background", "Orphan"; NULL: the default */
	bool has_grace;
	int64_t grace_s;	  /* delete: gracePeriodSeconds, with has_grace */
	struct kube_reply *reply; /* filled when not NULL; the body is left out */
};

/* *ret (may be NULL): the object as the server has it now. The field manager is
 * "kubectl-renumber". In create the name is in the object, target->name is left out of the path
 * unless there is a subresource ("eviction", "token"). */
must_check int kube_client_create(struct kube_client *kube, const struct kube_target *target,
				  const json_t *object, const struct kube_write_options *options,
				  json_t **ret, struct error *err);

/* PUT. The object's own metadata.resourceVersion is the precondition, unless options have one. */
must_check int kube_client_replace(struct kube_client *kube, const struct kube_target *target,
				   const json_t *object, const struct kube_write_options *options,
				   json_t **ret, struct error *err);

/* `method` is one of KUBE_PATCH_…. Preconditions are put into a copy of the patch. A "test" in a
 * JSON patch that does not hold is ERROR_CONFLICT. */
must_check int kube_client_patch(struct kube_client *kube, const struct kube_target *target,
				 enum kube_method method, const json_t *patch,
				 const struct kube_write_options *options, json_t **ret,
				 struct error *err);

/* ERROR_NOT_FOUND when it is gone already. */
must_check int kube_client_delete(struct kube_client *kube, const struct kube_target *target,
				  const struct kube_write_options *options, struct error *err);
/* The same; that it is gone already is success. */
must_check int kube_client_remove(struct kube_client *kube, const struct kube_target *target,
				  const struct kube_write_options *options, struct error *err);

#endif
