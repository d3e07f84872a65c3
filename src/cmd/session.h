/* SPDX-License-Identifier: MIT */
#ifndef CMD_SESSION_H
#define CMD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "cmd/option.h"
#include "kube/client.h"
#include "model/cluster.h"
#include "node/pool.h"

/*
 * What the common options ask for, and the connections that commands share. Opened by main from
 * the flags of the command; commands that connect only sometimes call session_connect themselves.
 */
struct session_settings {
	const char *kubeconfig;
	const char *context;
	int64_t request_timeout_ms;
	const char *nodes_via;
	const char *ssh_command;
	const char *ssh_user;
	const char *ssh_map;
	bool sudo;
	const char *state_dir;
	const char *output;
	bool no_color;
	const char *log;
	bool verbose;
	bool yes;
	bool help;
};

/* The rows of these settings. */
extern const struct option session_options[];

enum session_output {
	SESSION_TEXT,
	SESSION_WIDE,
	SESSION_JSON,
	SESSION_YAML,
	SESSION_MARKDOWN,
};

struct session {
	const struct session_settings *settings; /* borrowed */
	const char *program;			 /* "kubectl renumber" or "kubectl-renumber" */
	enum session_output output;
	bool colour;	      /* stdout is a terminal that wants it */
	bool live;	      /* stderr is a terminal that progress may be drawn on in place */
	bool live_colour;     /* and that wants colours */
	bool stderr_terminal; /* progress may redraw its line; questions may be asked */

	struct kube_config config;
	struct kube_client *kube; /* NULL until session_connect */
	struct node_pool *pool;	  /* NULL until session_open_nodes, and with --nodes-via none */
	char *cluster_uid;	  /* of kube-system */
};

void session_init(struct session *session, const struct session_settings *settings,
		  const char *program);

/* Reads the kubeconfig, opens the client and asks for the cluster's identity. Calling it again is
 * fine. */
must_check int session_connect(struct session *session, struct error *err);

/* Connects, lists the nodes and makes the pool ready. */
must_check int session_open_nodes(struct session *session, struct error *err);

/* Observes API and nodes: the cluster as it is now. */
must_check int session_observe(struct session *session, struct cluster **ret, struct error *err);

/* The same, and what else model/observe.h has (OBSERVE_…). */
must_check int session_observe_more(struct session *session, unsigned int more,
				    struct cluster **ret, struct error *err);

/* "cluster: context (server, identity …)": the line that every command opens with. Caller frees. */
char *session_cluster_line(const struct session *session);

/* The folder of all clusters' states; connects to none. Caller frees. */
must_check char *session_state_root(const struct session *session, struct error *err);

/* The folder of this cluster's runs, created when missing: --state-dir or
 * ${XDG_STATE_HOME:-~/.local/state}/kubectl-renumber, then the cluster's identity. Caller frees.
 * Connects first. */
must_check char *session_state_folder(struct session *session, struct error *err);

/*
 * Asks before a change: `question` on stderr, an answer from the terminal. True with --yes, or when
 * the user types yes. Without a terminal and without --yes: ERROR_REFUSED, nothing is asked.
 */
must_check int session_consent(struct session *session, const char *question, struct error *err);

void session_release(struct session *session);

#endif
