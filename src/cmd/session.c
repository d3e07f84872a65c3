/* SPDX-License-Identifier: MIT */
#include "cmd/session.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "model/observe.h"

#define SETTING(field) offsetof(struct session_settings, field)

const struct option session_options[] = {
	{"kubeconfig", 0, "FILE", OPTION_TEXT, SETTING(kubeconfig), NULL,
	 "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)"},
	{"context", 0, "NAME", OPTION_TEXT, SETTING(context), NULL, "kubeconfig context to use"},
	{"request-timeout", 0, "TIME", OPTION_DURATION, SETTING(request_timeout_ms), NULL,
	 "give up on one request after TIME (30s, 2m; default 60s)"},
	{"nodes-via", 0, "HOW", OPTION_CHOICE, SETTING(nodes_via), "ssh local daemonset none",
	 "how nodes are reached (default ssh)"},
	{"ssh-command", 0, "COMMAND", OPTION_TEXT, SETTING(ssh_command), NULL,
	 "ssh with its own options (default ssh)"},
	{"ssh-user", 0, "NAME", OPTION_TEXT, SETTING(ssh_user), NULL, "user on the nodes"},
	{"ssh-map", 0, "FILE", OPTION_TEXT, SETTING(ssh_map), NULL,
	 "lines NODE=HOST, for nodes that ssh knows by another name"},
	{"sudo", 0, NULL, OPTION_FLAG, SETTING(sudo), NULL, "become root on the nodes by sudo"},
	{"state-dir", 0, "FOLDER", OPTION_TEXT, SETTING(state_dir), NULL,
	 "where runs keep journal, plan and backups"},
	{"output", 'o', "FORMAT", OPTION_CHOICE, SETTING(output), "text wide json yaml markdown",
	 "format of the result (default text)"},
	{"no-color", 0, NULL, OPTION_FLAG, SETTING(no_color), NULL, "no colours, as with NO_COLOR"},
	{"log", 0, "FORMAT", OPTION_CHOICE, SETTING(log), "text json",
	 "format of progress and warnings on stderr"},
	{"verbose", 'v', NULL, OPTION_FLAG, SETTING(verbose), NULL, "say more on stderr"},
	{"yes", 'y', NULL, OPTION_FLAG, SETTING(yes), NULL, "consent to what would be asked"},
	{"help", 'h', NULL, OPTION_FLAG, SETTING(help), NULL, "this page"},
	{0},
};

static enum session_output session_output_of(const char *text)
{
	static const char *const names[] = {
		[SESSION_TEXT] = "text", [SESSION_WIDE] = "wide",	  [SESSION_JSON] = "json",
		[SESSION_YAML] = "yaml", [SESSION_MARKDOWN] = "markdown",
	};

	for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], text) == 0)
			return (enum session_output)i;
	return SESSION_TEXT;
}

void session_init(struct session *session, const struct session_settings *settings,
		  const char *program)
{
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	bool plain = settings->no_color || (no_color && *no_color) ||
		     (terminal && strcmp(terminal, "dumb") == 0);

	*session = (struct session){
		.settings = settings,
		.program = program,
		.output = session_output_of(settings->output),
		.colour = !plain && isatty(STDOUT_FILENO),
		.live = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0) &&
			!(settings->log && strcmp(settings->log, "json") == 0),
		.live_colour = !plain && isatty(STDERR_FILENO),
		.stderr_terminal = isatty(STDERR_FILENO) && isatty(STDIN_FILENO),
	};
	log_configure(&(struct log_options){
		.verbose = settings->verbose,
		.json = settings->log && strcmp(settings->log, "json") == 0,
		.colour = !plain && isatty(STDERR_FILENO),
	});
}

/* It becomes a folder's name. */
static bool session_is_uid(const char *uid)
{
	size_t len = strlen(uid);

	return len && len <= 64 &&
	       strspn(uid, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") ==
		       len;
}

static int session_identify(struct session *session, struct error *err)
{
	const struct kube_target target = {
		.version = "v1", .plural = "namespaces", .name = "kube-system"};
	auto_json json_t *object = NULL;
	const char *uid;

	if (kube_client_get(session->kube, &target, &object, err) < 0)
		return error_wrap(err, "cannot identify the cluster");
	uid = json_path_text(object, "metadata.uid");
	if (!uid)
		return error_set(err, ERROR_PARSE,
				 "the server's namespace 'kube-system' has no UID; "
				 "is '%s' a Kubernetes API server?",
				 kube_client_server(session->kube));
	if (!session_is_uid(uid))
		return error_set(
			err, ERROR_PARSE,
			"the UID '%.80s' of the server's namespace 'kube-system' is none; is "
			"'%s' a Kubernetes API server?",
			uid, kube_client_server(session->kube));
	session->cluster_uid = alloc_text(uid);
	return 0;
}

int session_connect(struct session *session, struct error *err)
{
	const struct session_settings *s = session->settings;
	const struct kube_config_options where = {.path = s->kubeconfig, .context = s->context};
	const struct kube_client_options how = {.request_timeout_ms = s->request_timeout_ms};

	if (session->cluster_uid)
		return 0;
	if (!session->kube) {
		if (kube_config_load(&session->config, &where, err) < 0)
			return -1;
		session->kube = kube_client_open(&session->config, &how, err);
		if (!session->kube)
			return -1;
	}
	return session_identify(session, err);
}

static void session_add_node(struct node_pool *pool, const json_t *node)
{
	const char *name = json_path_text(node, "metadata.name");
	const json_t *addresses = json_path(node, "status.addresses");
	const char *internal = NULL;
	const json_t *entry;
	size_t i;

	json_array_foreach(addresses, i, entry) {
		if (!internal && json_path_is(entry, "type", "InternalIP"))
			internal = json_path_text(entry, "address");
	}
	/* it becomes an argument of ssh */
	if (name && !kube_path_is_name(name))
		log_warning("'%s' is no name that Kubernetes gives to a node; it is left out",
			    name);
	else if (name)
		node_pool_add(pool, name, internal);
}

int session_open_nodes(struct session *session, struct error *err)
{
	const struct kube_target target = {.version = "v1", .plural = "nodes"};
	const struct session_settings *s = session->settings;
	struct node_options options = {
		.ssh_command = s->ssh_command,
		.ssh_user = s->ssh_user,
		.ssh_map = s->ssh_map,
		.sudo = s->sudo,
	};
	auto_json json_t *nodes = NULL;
	const json_t *node;
	size_t i;

	if (session_connect(session, err) < 0)
		return -1;
	if (session->pool)
		return 0;
	if (s->nodes_via && !node_transport_parse(s->nodes_via, &options.via))
		return error_set(err, ERROR_USAGE, "'%s' is no way to reach nodes", s->nodes_via);
	session->pool = node_pool_new(&options, err);
	if (!session->pool)
		return -1;
	if (kube_client_list(session->kube, &target, NULL, &nodes, NULL, err) < 0)
		return error_wrap(err, "cannot list the nodes");
	json_array_foreach(nodes, i, node)
		session_add_node(session->pool, node);
	return 0;
}

int session_observe(struct session *session, struct cluster **ret, struct error *err)
{
	return session_observe_more(session, 0, ret, err);
}

int session_observe_more(struct session *session, unsigned int more, struct cluster **ret,
			 struct error *err)
{
	auto_json json_t *observation = NULL;
	bool hosts;

	if (session_open_nodes(session, err) < 0)
		return -1;
	hosts = node_pool_reaches_nodes(session->pool);
	if (observe_cluster(session->kube, hosts ? session->pool : NULL, OBSERVE_ALL | more,
			    &observation, err) < 0)
		return -1;
	return cluster_build(observation, ret, err);
}

char *session_cluster_line(const struct session *session)
{
	return alloc_format("cluster: %s (%s, identity %s)",
			    session->config.context ? session->config.context : "in-cluster",
			    kube_client_server(session->kube),
			    session->cluster_uid ? session->cluster_uid : "unknown");
}

char *session_state_root(const struct session *session, struct error *err)
{
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (session->settings->state_dir)
		return alloc_text(session->settings->state_dir);
	if (xdg && *xdg)
		return file_join(xdg, "kubectl-renumber");
	if (home && *home)
		return file_join(home, ".local/state/kubectl-renumber");
	error_set(err, ERROR_USAGE,
		  "there is no home folder for the state of runs; name one by --state-dir");
	return NULL;
}

char *session_state_folder(struct session *session, struct error *err)
{
	auto_free char *root = NULL;
	auto_free char *folder = NULL;

	if (session_connect(session, err) < 0)
		return NULL;
	root = session_state_root(session, err);
	if (!root)
		return NULL;
	folder = file_join(root, session->cluster_uid);
	if (file_make_folder(folder, 0700, err) < 0 || file_check_own_folder(root, err) < 0 ||
	    file_check_own_folder(folder, err) < 0) {
		error_wrap(err, "cannot keep the state of a run");
		return NULL;
	}
	return steal(folder);
}

int session_consent(struct session *session, const char *question, struct error *err)
{
	char answer[16] = "";

	if (session->settings->yes)
		return 0;
	if (!session->stderr_terminal)
		return error_set(err, ERROR_REFUSED,
				 "%s needs consent, and there is no terminal to ask at; give --yes",
				 question);
	fprintf(stderr, "%s? Type yes to go on: ", question);
	if (fgets(answer, sizeof(answer), stdin) && strcmp(answer, "yes\n") == 0)
		return 0;
	return error_set(err, ERROR_REFUSED, "not consented; nothing was changed");
}

void session_release(struct session *session)
{
	node_pool_free(session->pool);
	kube_client_free(session->kube);
	kube_config_release(&session->config);
	free(session->cluster_uid);
	*session = (struct session){0};
}
