/* SPDX-License-Identifier: MIT */
/*
 * calico: does of the real network plugin what broke in the incident.
 *
 *   calico install-cni   writes the plugin, its configuration and its kubeconfig
 *                        to the node, the server being the one that the
 *                        environment names
 *   calico run           asks the API server that the environment names for its
 *                        node; ends with status 1 when it cannot at start, or
 *                        several times in a row later
 *   calico ready         0 while the last request was answered
 *   CNI_COMMAND=...      (as a plugin) asks the API server that the kubeconfig
 *                        names, then leaves the work to the bridge plugin
 */
#include "api.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <dirent.h>
#include <unistd.h>

#define NET_DIR "/etc/cni/net.d/" /* in the Pods below /host */
#define BIN_DIR "/opt/cni/bin/"
#define CONFIG "05-calico"
#define KUBECONFIG NET_DIR "calico-kubeconfig"
#define TIMEOUT_MS 2000
#define READY "/ready" /* there while the last request was answered */
#define START_TRIES 3
#define CHECK_SECONDS 5
#define CHECK_TRIES 3

static void on_term(int signal)
{
	(void)signal;
	_exit(0);
}

static void need(int good, const char *what)
{
	if (good)
		return;
	api_log("[FATAL][1] cni-installer: %s: %s", what, strerror(errno));
	exit(1);
}

/* Written beside and renamed, as the kubelet and containerd watch the folder. */
static void write_file(const char *path, const char *text, size_t length, mode_t mode)
{
	char beside[512];
	int fd;

	snprintf(beside, sizeof(beside), "%s.tmp", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	need(fd >= 0 && write(fd, text, length) == (ssize_t)length && fchmod(fd, mode) == 0 &&
		     close(fd) == 0 && rename(beside, path) == 0,
	     path);
}

static void install_plugin(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	struct stat about;

	to = open("/host" BIN_DIR "calico.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	need(from >= 0 && to >= 0 && fstat(from, &about) == 0, "copy the plugin");
	while (about.st_size > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)about.st_size);

		need(n > 0, "copy the plugin");
		about.st_size -= n;
	}
	need(close(to) == 0 && rename("/host" BIN_DIR "calico.tmp", "/host" BIN_DIR "calico") == 0,
	     "install the plugin");
	close(from);
}

/* The node's own configuration of the bridge, with this plugin in the bridge's place. */
static void install_config(void)
{
	DIR *folder = opendir("/host" NET_DIR);
	char path[512] = "", *text = NULL, *type, *copy;
	struct dirent *entry;
	size_t length;

	need(folder != NULL, "open " NET_DIR);
	while (!text && (entry = readdir(folder))) {
		if (!strstr(entry->d_name, ".conf") ||
		    strncmp(entry->d_name, CONFIG, strlen(CONFIG)) == 0)
			continue;
		snprintf(path, sizeof(path), "/host" NET_DIR "%s", entry->d_name);
		text = api_read_file(path);
		if (text && !strstr(text, "\"bridge\"")) {
			free(text);
			text = NULL;
		}
	}
	closedir(folder);
	need(text != NULL, "find the configuration of the bridge");
	type = strstr(text, "\"bridge\"");
	length = strlen(text);
	copy = malloc(length + 1);
	if (!copy)
		abort();
	memcpy(copy, text, length + 1);
	memcpy(copy + (type - text), "\"calico\"", strlen("\"calico\""));
	snprintf(path, sizeof(path), "/host" NET_DIR CONFIG "%s",
		 strstr(text, "\"plugins\"") ? ".conflist" : ".conf");
	write_file(path, copy, length, 0644);
	free(copy);
	free(text);
}

static void install_kubeconfig(const char *host, const char *port)
{
	char *ca = api_read_file(API_CA), *token = api_read_file(API_TOKEN), *text, *encoded;
	size_t size;
	int length;

	need(ca && token, "read the service account");
	size = 4 * strlen(ca) / 3 + 8;
	encoded = malloc(size);
	text = malloc(size + strlen(token) + 1024);
	if (!encoded || !text)
		abort();
	EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)ca, (int)strlen(ca));
	length = snprintf(text, size + strlen(token) + 1024,
			  "# Kubeconfig file for the CNI plugin, written by install-cni.\n"
			  "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster:\n"
			  "    server: https://%s:%s\n    certificate-authority-data: \"%s\"\n"
			  "users:\n- name: calico\n  user:\n    token: %s\n"
			  "contexts:\n- name: calico-context\n  context:\n    cluster: local\n"
			  "    user: calico\ncurrent-context: calico-context\n",
			  host, port, encoded, token);
	write_file("/host" KUBECONFIG, text, (size_t)length, 0600);
	free(text);
	free(encoded);
	free(token);
	free(ca);
}

/* 0 or the reason in answer. */
static int ask(const char *host, const char *port, struct api_answer *answer)
{
	char path[256];
	const char *node = getenv("NODENAME");
	struct api_request request = {
		.host = host, .port = port, .path = path, .ca = API_CA, .timeout_ms = TIMEOUT_MS};
	char *token = api_read_file(API_TOKEN);
	int result;

	snprintf(path, sizeof(path), "/api/v1/nodes/%s", node ? node : "");
	request.token = token;
	result = api_get(&request, answer);
	free(token);
	return result;
}

static int run(const char *host, const char *port)
{
	struct api_answer answer;
	const char *node = getenv("NODENAME");
	int i, failed = 0;

	for (i = 0; i < START_TRIES; i++) {
		if (ask(host, port, &answer) == 0)
			break;
		api_log("[ERROR][%d] startup/startup.go: failed to query node error=Get "
			"\"https://%s:%s/api/v1/nodes/%s\": %s",
			getpid(), host, port, node ? node : "", answer.error);
		sleep(1);
	}
	if (i == START_TRIES) {
		api_log("[WARNING][%d] startup/startup.go: Terminating", getpid());
		fprintf(stderr, "Calico node failed to start\n");
		return 1;
	}
	api_log("[INFO][%d] startup/startup.go: Datastore is ready https://%s:%s", getpid(), host,
		port);
	fprintf(stderr, "Calico node started successfully\n");
	install_kubeconfig(host, port);
	write_file(READY, "", 0, 0644);
	for (;;) {
		sleep(CHECK_SECONDS);
		if (ask(host, port, &answer) == 0) {
			failed = 0;
			write_file(READY, "", 0, 0644);
			/* Tokens change; so the real one keeps the file fresh. */
			install_kubeconfig(host, port);
			continue;
		}
		failed++;
		unlink(READY);
		api_log("[ERROR][%d] felix/watchersyncer.go: Failed to perform list of current "
			"data "
			"error=Get \"https://%s:%s/api/v1/nodes/%s\": %s",
			getpid(), host, port, node ? node : "", answer.error);
		if (failed == CHECK_TRIES) {
			api_log("[FATAL][%d] felix/daemon.go: Felix is not live, exiting",
				getpid());
			return 1;
		}
	}
}

static int plugin_error(const char *message)
{
	const char *c;

	printf("{\"cniVersion\":\"0.3.1\",\"code\":11,\"msg\":\"");
	for (c = message; *c; c++) {
		if (*c == '"' || *c == '\\')
			putchar('\\');
		putchar(*c);
	}
	printf("\"}\n");
	return 1;
}

/* The value behind KEY in our own kubeconfig, cut at the end of its line. */
static char *kubeconfig_value(char *text, const char *key)
{
	char *value = strstr(text, key), *end;

	if (!value)
		return NULL;
	value += strlen(key);
	end = value + strcspn(value, "\"\n");
	value = strndup(value, (size_t)(end - value));
	if (!value)
		abort();
	return value;
}

/* The certificate authority of the kubeconfig as a file without a name. */
static int ca_file(const char *encoded, char *path, size_t size)
{
	unsigned char *ca = malloc(strlen(encoded) + 4);
	int fd, length;

	if (!ca)
		abort();
	length = EVP_DecodeBlock(ca, (const unsigned char *)encoded, (int)strlen(encoded));
	while (length > 0 && ca[length - 1] == '\0')
		length--;
	fd = memfd_create("ca", MFD_CLOEXEC);
	if (fd < 0 || length <= 0 || write(fd, ca, (size_t)length) != length)
		return -1;
	free(ca);
	snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd;
}

static int plugin(void)
{
	const char *command = getenv("CNI_COMMAND");
	struct api_request request = {.path = "/version", .timeout_ms = TIMEOUT_MS};
	struct api_answer answer;
	char *text, *server, *encoded, ca[64], message[1400];
	int fd;

	if (strcmp(command, "ADD") == 0 || strcmp(command, "DEL") == 0) {
		text = api_read_file(KUBECONFIG);
		if (!text)
			return plugin_error("stat " KUBECONFIG
					    ": no such file or directory: check that the "
					    "calico/node container is running");
		server = kubeconfig_value(text, "server: https://");
		encoded = kubeconfig_value(text, "certificate-authority-data: \"");
		request.token = kubeconfig_value(text, "token: ");
		fd = server && encoded ? ca_file(encoded, ca, sizeof(ca)) : -1;
		if (fd < 0 || !strrchr(server, ':'))
			return plugin_error("error loading " KUBECONFIG);
		request.ca = ca;
		request.port = strrchr(server, ':') + 1;
		*strrchr(server, ':') = '\0';
		request.host = server;
		if (api_get(&request, &answer) < 0) {
			snprintf(message, sizeof(message),
				 "error getting ClusterInformation: Get \"https://%s:%s/version\": "
				 "%s",
				 request.host, request.port, answer.error);
			return plugin_error(message);
		}
		close(fd);
	}
	execl(BIN_DIR "bridge", "bridge", (char *)NULL);
	return plugin_error("cannot start " BIN_DIR "bridge");
}

int main(int argc, char **argv)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	signal(SIGPIPE, SIG_IGN);
	if (getenv("CNI_COMMAND"))
		return plugin();
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	if (argc == 2 && strcmp(argv[1], "ready") == 0)
		return access(READY, F_OK) == 0 ? 0 : 1;
	if (!host || !port || !*host || !*port) {
		api_log("[FATAL][1] unable to load in-cluster configuration, "
			"KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined");
		return 1;
	}
	if (argc == 2 && strcmp(argv[1], "install-cni") == 0) {
		install_plugin();
		install_kubeconfig(host, port);
		install_config();
		api_log("[INFO][1] cni-installer: wrote the kubeconfig for https://%s:%s", host,
			port);
		return 0;
	}
	return run(host, port);
}
