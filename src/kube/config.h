/* SPDX-License-Identifier: MIT */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/slice.h"

/*
 * How to reach one cluster and as whom: what one context of the user's kubeconfig says, with
 * certificates and keys read into memory. A token file or a credential plugin is only named here;
 * kube/credential.h asks it when a request is made.
 */

/* An external program that hands out credentials (client.authentication.k8s.io/v1, v1beta1). */
struct kube_exec {
	char *api_version;
	char *command; /* a path, or a name to look up in PATH */
	char **args;   /* NULL-terminated, without the command */
	char **env;    /* NULL-terminated "NAME=value", added to ours */
	char *install_hint;
	bool provide_cluster_info;
	bool needs_terminal; /* interactiveMode: Always */
	bool may_prompt;     /* interactiveMode: not Never */
	char *cluster_extra; /* JSON of the cluster's client.authentication.k8s.io/exec extension */
};

struct kube_config {
	char *source;  /* the file of the context, "" for in-cluster; for messages */
	char *context; /* "in-cluster" for the service account of a Pod */
	char *cluster;
	char *user;
	char *space;  /* the context's namespace; "default" when it names none */
	char *server; /* "https://10.1.15.254:6443", perhaps with a path; no slash at the end */
	char *tls_server_name; /* NULL: the host of server */
	char *proxy_url;       /* NULL: as the environment says (HTTPS_PROXY, NO_PROXY) */
	char *ca;	       /* PEM; NULL: the system's */
	bool insecure;
	bool compression; /* ask for compressed answers */

	struct secret certificate; /* PEM chain of the client certificate; empty: none */
	struct secret key;
	struct secret token;
	char *token_file; /* read again while running: it is rotated */
	char *username;
	struct secret password;
	struct kube_exec *exec; /* NULL: none */
	char *as_user;		/* impersonation; NULL: none */
	char *as_uid;
	char **as_groups; /* NULL-terminated; NULL: none */
};

struct kube_config_options {
	const char
		*path; /* --kubeconfig; NULL: $KUBECONFIG, else ~/.kube/config, else in-cluster */
	const char *context;	/* --context; NULL: current-context */
	const char *pod_folder; /* of the service account in a Pod; NULL: where kubelet mounts it */
};

/* Reads the kubeconfig files (several in $KUBECONFIG are merged: the first that names a thing wins)
 * and what they point to. Paths in a file are relative to its folder. Warns when TLS is not
 * verified. ERROR_USAGE for a missing file, an unknown context or a way to log in that is not
 * supported, ERROR_PARSE (file:line:column) for malformed content. */
must_check int kube_config_load(struct kube_config *ret, const struct kube_config_options *options,
				struct error *err);

/* The same from the text of one kubeconfig file; `name` stands for the file in messages and its
 * folder is where relative paths begin. */
must_check int kube_config_parse(struct kube_config *ret, struct slice text, const char *name,
				 const char *context, struct error *err);

void kube_config_release(struct kube_config *config);

#define auto_kube_config __attribute__((cleanup(kube_config_release)))

#endif
