/* SPDX-License-Identifier: MIT */
#include "agent/proxy.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

#include "agent/dial.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/buffer.h"
#include "text/json.h"

#define PROXY_ADDRESS "127.0.0.1"
#define PROXY_PORT 10249
#define PROXY_TIMEOUT_MS 3000
#define PROXY_TIMEOUT_MAX_MS 30000
/* 100 KB on current versions, more with many Services */
#define PROXY_TEXT_MAX ((size_t)8 * 1024 * 1024)

static const struct {
	const char *metric;
	const char *member;
} proxy_rows[] = {
	{"kubeproxy_sync_proxy_rules_last_timestamp_seconds", "lastSync"},
	{"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "lastQueued"},
	{"kubeproxy_sync_proxy_rules_duration_seconds_count", "syncs"},
	{"kubeproxy_sync_proxy_rules_duration_seconds_sum", "syncSeconds"},
	{"kubeproxy_network_programming_duration_seconds_count", "programmed"},
};

/* Loopback and the node's own addresses: metricsBindAddress is one of them. */
static bool proxy_is_own(struct net_address address)
{
	struct ifaddrs *list = NULL;
	bool own = false;

	if (address.family == NET_IPV4 && address.bytes[0] == 127)
		return true;
	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i && !own; i = i->ifa_next) {
		const struct sockaddr *from = i->ifa_addr;
		struct net_address found;

		if (from && from->sa_family == AF_INET &&
		    net_address_from_bytes(
			    &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4, &found))
			own = net_address_equal(found, address);
		else if (from && from->sa_family == AF_INET6 &&
			 net_address_from_bytes(
				 &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16,
				 &found))
			own = net_address_equal(found, address);
	}
	freeifaddrs(list);
	return own;
}

static int proxy_open(struct net_address address, uint16_t port, int64_t timeout_ms, int *ret_fd,
		      struct error *err)
{
	const struct timeval limit = {.tv_sec = timeout_ms / 1000,
				      .tv_usec = (timeout_ms % 1000) * 1000};
	struct sockaddr_storage to;
	socklen_t len = dial_socket_address(address, port, &to);
	auto_close int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_errno(err, "cannot open a socket");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return error_errno(err, "cannot limit the time of a socket");
	if (connect(fd, (struct sockaddr *)&to, len) < 0)
		return error_set(err, ERROR_NETWORK, "kube-proxy's metrics at %s port %d: %s",
				 net_address_text(address).text, port, strerror(errno));
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* HTTP/1.0: the answer ends with the connection and is in one piece. */
static int proxy_fetch(int fd, int64_t timeout_ms, struct buffer *text, struct error *err)
{
	static const char request[] =
		"GET /metrics HTTP/1.0\r\nUser-Agent: kubectl-renumber\r\n\r\n";
	int64_t end = clock_monotonic_ms() + timeout_ms;
	char chunk[16384];
	ssize_t got;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
		return error_set(err, ERROR_NETWORK, "kube-proxy's metrics: cannot ask");
	while ((got = recv(fd, chunk, sizeof(chunk), 0)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || clock_monotonic_ms() > end)
			return error_set(err, ERROR_NETWORK,
					 "kube-proxy's metrics: no whole answer in time");
		buffer_append(text, chunk, (size_t)got);
		if (buffer_check(text, "kube-proxy's metrics", err) < 0)
			return -1;
	}
	return 0;
}

/* Past the head of a "200". */
static int proxy_body(struct slice *text, struct error *err)
{
	const char *end = memmem(text->ptr, text->len, "\r\n\r\n", 4);
	struct slice line;
	struct slice rest = *text;

	if (!end || !slice_next(&rest, '\n', &line) || !slice_starts(line, "HTTP/1."))
		return error_set(err, ERROR_PARSE, "kube-proxy's metrics: the answer is not HTTP");
	if (line.len < 12 || memcmp(line.ptr + 8, " 200", 4) != 0)
		return error_set(err, ERROR_API, "kube-proxy's metrics: '%.*s'",
				 (int)slice_trim(line).len, line.ptr);
	text->len -= (size_t)(end + 4 - text->ptr);
	text->ptr = end + 4;
	return 0;
}

/* The row of `families` for the label ip_family="…"; "" where there is none. */
static json_t *proxy_family(json_t *families, struct slice labels)
{
	static const char key[] = "ip_family=\"";
	const char *found = memmem(labels.ptr, labels.len, key, sizeof(key) - 1);
	struct slice family = {"", 0};
	struct slice rest;
	auto_free char *name = NULL;
	json_t *row;
	size_t i;

	if (found) {
		found += sizeof(key) - 1;
		rest = (struct slice){found, labels.len - (size_t)(found - labels.ptr)};
		(void)slice_next(&rest, '"', &family);
	}
	name = slice_dup(family);
	json_array_foreach(families, i, row) {
		if (json_path_is(row, "family", name))
			return row;
	}
	row = json_object();
	protocol_set_text(row, "family", name);
	json_array_append_new(families, row);
	return row;
}

/* `NAME VALUE`, `NAME{LABELS} VALUE`; a value that is no number (+Inf, NaN) is passed over. */
static void proxy_line(struct slice line, json_t *families)
{
	for (size_t i = 0; i < sizeof(proxy_rows) / sizeof(proxy_rows[0]); i++) {
		size_t len = strlen(proxy_rows[i].metric);
		struct slice labels = {line.ptr, 0};
		struct slice rest;
		const char *close;
		json_t *value;

		if (!slice_starts(line, proxy_rows[i].metric) || line.len <= len ||
		    (line.ptr[len] != ' ' && line.ptr[len] != '{'))
			continue;
		rest = (struct slice){line.ptr + len, line.len - len};
		close = memchr(rest.ptr, '}', rest.len);
		if (rest.ptr[0] == '{' && close) {
			labels = (struct slice){rest.ptr, (size_t)(close - rest.ptr)};
			rest.len -= labels.len + 1;
			rest.ptr = close + 1;
		}
		rest = slice_trim(rest);
		value = json_loadb(rest.ptr, rest.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL,
				   NULL);
		if (json_is_real(value))
			json_object_set(proxy_family(families, labels), proxy_rows[i].member,
					value);
		json_decref(value);
	}
}

int proxy_metrics_parse(struct slice text, json_t *reply, struct error *err)
{
	auto_json json_t *families = json_array();
	struct slice line;

	while (slice_next(&text, '\n', &line))
		if (slice_starts(line, "kubeproxy_"))
			proxy_line(slice_trim(line), families);
	if (json_array_size(families) == 0)
		return error_set(err, ERROR_PARSE,
				 "what answers there is not kube-proxy, or it shows no metrics");
	json_object_set(reply, "families", families);
	return 0;
}

int proxy_metrics(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	auto_buffer struct buffer answer = {.max = PROXY_TEXT_MAX};
	struct net_address address;
	auto_close int fd = -1;
	struct slice text;
	const char *where;
	int64_t port;
	int64_t timeout_ms;

	(void)agent;
	if (protocol_optional_text(request, "address", &where, err) < 0 ||
	    protocol_optional_integer(request, "port", 1, 65535, PROXY_PORT, &port, err) < 0 ||
	    protocol_optional_integer(request, "timeoutMs", 1, PROXY_TIMEOUT_MAX_MS,
				      PROXY_TIMEOUT_MS, &timeout_ms, err) < 0 ||
	    net_address_parse(slice_of(where ? where : PROXY_ADDRESS), &address, err) < 0)
		return -1;
	if (!proxy_is_own(address))
		return error_set(err, ERROR_REFUSED, "'%s' is no address of this node", where);
	if (proxy_open(address, (uint16_t)port, timeout_ms, &fd, err) < 0 ||
	    proxy_fetch(fd, timeout_ms, &answer, err) < 0)
		return -1;
	text = buffer_as_slice(&answer);
	if (proxy_body(&text, err) < 0 || proxy_metrics_parse(text, reply, err) < 0)
		return -1;
	json_object_set_new(reply, "now", json_real((double)clock_wall_ms() / 1000));
	return 0;
}
