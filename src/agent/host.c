/* SPDX-License-Identifier: MIT */
#include "agent/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "agent/paths.h"
#include "agent/processes.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/process.h"
#include "net/cidr.h"
#include "text/json.h"
#include "version.h"

#define HOST_SYSTEMCTL_MS INT64_C(90000)
#define HOST_KUBELET_MS INT64_C(20000)
#define HOST_KUBELET_STEP_MS 100

int host_info(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_free char *manifests = alloc_format("%s/etc/kubernetes/manifests", agent->root);
	auto_free char *boot_path = alloc_format("%s/sys/kernel/random/boot_id", agent->proc);
	auto_buffer struct buffer boot_id = {0};
	auto_error struct error ignored = {0};
	auto_free char *boot_text = NULL;
	struct utsname names;
	int64_t boot_ms;
	struct stat st;

	(void)request;
	if (uname(&names) < 0)
		return error_errno(err, "cannot ask the kernel for its name");
	json_object_set_new(reply, "protocol", json_integer(PROTOCOL_VERSION));
	protocol_set_text(reply, "version", KUBECTL_RENUMBER_VERSION);
	protocol_set_text(reply, "hostname", names.nodename);
	json_object_set_new(reply, "uid", json_integer((json_int_t)geteuid()));
	if (agent->root[0])
		protocol_set_text(reply, "root", agent->root);
	protocol_set_text(reply, "machine", names.machine);
	protocol_set_text(reply, "kernel", names.release);
	if (file_read(boot_path, 4096, &boot_id, &ignored) == 0) {
		boot_text = slice_dup(slice_trim(buffer_as_slice(&boot_id)));
		protocol_set_text(reply, "bootId", boot_text);
	}
	if (processes_boot(agent->proc, &boot_ms, &ignored) == 0)
		json_object_set_new(reply, "bootTime", json_integer(boot_ms / 1000));
	json_object_set_new(reply, "now", json_integer(clock_wall_s()));
	json_object_set_new(reply, "manifests",
			    json_boolean(stat(manifests, &st) == 0 && S_ISDIR(st.st_mode)));
	return 0;
}

static bool host_address_of(const struct sockaddr *from, struct net_address *ret)
{
	if (from && from->sa_family == AF_INET)
		return net_address_from_bytes(
			&((const struct sockaddr_in *)(const void *)from)->sin_addr, 4, ret);
	if (from && from->sa_family == AF_INET6)
		return net_address_from_bytes(
			&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16, ret);
	return false;
}

static unsigned int host_prefix(const struct sockaddr *mask)
{
	struct net_address address;
	unsigned int bits = 0;

	if (!host_address_of(mask, &address))
		return 0;
	for (size_t i = 0; i < net_address_size(address); i++)
		bits += (unsigned int)__builtin_popcount(address.bytes[i]);
	return bits;
}

static int host_addresses(json_t *list, struct error *err)
{
	struct ifaddrs *all;
	struct net_address address;

	if (getifaddrs(&all) < 0)
		return error_errno(err, "cannot list the network addresses");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		json_t *entry;

		if (!host_address_of(i->ifa_addr, &address))
			continue;
		entry = json_object();
		protocol_set_text(entry, "interface", i->ifa_name);
		protocol_set_text(entry, "address", net_address_text(address).text);
		json_object_set_new(entry, "prefix", json_integer(host_prefix(i->ifa_netmask)));
		json_array_append_new(list, entry);
	}
	freeifaddrs(all);
	return 0;
}

/* Words of a line of /proc/net, separated by blanks; what is missing is empty. */
#define HOST_WORDS 11
static void host_words(struct slice line, struct slice words[HOST_WORDS])
{
	size_t count = 0;
	size_t at = 0;

	memset(words, 0, HOST_WORDS * sizeof(*words));
	while (count < HOST_WORDS && at < line.len) {
		size_t start;

		while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
			at++;
		start = at;
		while (at < line.len && line.ptr[at] != ' ' && line.ptr[at] != '\t')
			at++;
		if (at > start)
			words[count++] = (struct slice){line.ptr + start, at - start};
	}
}

static int host_nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool host_hex(struct slice text, uint8_t *ret, size_t len)
{
	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = host_nibble(text.ptr[2 * i]);
		int low = host_nibble(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void host_add_route(json_t *list, struct net_cidr destination, struct net_address gateway,
			   bool has_gateway, struct slice interface)
{
	auto_free char *name = slice_dup(interface);
	json_t *route = json_object();

	protocol_set_text(route, "destination", net_cidr_text(destination).text);
	if (has_gateway)
		protocol_set_text(route, "gateway", net_address_text(gateway).text);
	protocol_set_text(route, "interface", name);
	json_array_append_new(list, route);
}

/* /proc/net/route has addresses as numbers of the machine: their bytes stand reversed on a
 * little-endian one. */
static bool host_route_address(struct slice text, struct net_address *ret)
{
	uint8_t bytes[4];
	uint32_t number;

	if (!host_hex(text, bytes, 4))
		return false;
	number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
		 bytes[3];
	memcpy(bytes, &number, 4);
	return net_address_from_bytes(bytes, 4, ret);
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask … */
static void host_routes_4(struct slice text, json_t *list)
{
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		struct net_address destination;
		struct net_address gateway;
		struct net_address mask;
		struct slice words[HOST_WORDS];
		unsigned int bits = 0;

		host_words(line, words);
		if (!host_route_address(words[1], &destination) ||
		    !host_route_address(words[2], &gateway) || !host_route_address(words[7], &mask))
			continue;
		for (size_t i = 0; i < 4; i++)
			bits += (unsigned int)__builtin_popcount(mask.bytes[i]);
		host_add_route(list, net_cidr_of(destination, bits), gateway,
			       !slice_is(words[2], "00000000"), words[0]);
	}
}

/* Destination PrefixLength(hex) Source SourceLength NextHop Metric RefCnt Use Flags Iface */
static void host_routes_6(struct slice text, json_t *list)
{
	static const uint8_t none[16] = {0};
	struct slice line;

	while (slice_next(&text, '\n', &line)) {
		struct net_address destination;
		struct net_address gateway;
		struct slice words[HOST_WORDS];
		uint8_t bytes[16];
		uint8_t next[16];
		uint8_t bits;

		host_words(line, words);
		/* Local and multicast routes say nothing about who owns a range. */
		if (!host_hex(words[0], bytes, 16) || !host_hex(words[1], &bits, 1) || bits > 128 ||
		    !host_hex(words[4], next, 16) || slice_is(words[9], "lo") || bytes[0] == 0xff ||
		    !net_address_from_bytes(bytes, 16, &destination) ||
		    !net_address_from_bytes(next, 16, &gateway))
			continue;
		host_add_route(list, net_cidr_of(destination, bits), gateway,
			       memcmp(next, none, 16) != 0, words[9]);
	}
}

static void host_proc_net(const struct agent *agent, const char *name, struct buffer *ret)
{
	auto_free char *path = alloc_format("%s/net/%s", agent->proc, name);
	auto_error struct error ignored = {0};

	/* A kernel without IPv6 has no such file. */
	if (file_read(path, LIMIT_CONFIG_FILE, ret, &ignored) < 0)
		buffer_clear(ret);
}

int host_sysfacts(const struct agent *agent, const json_t *request, json_t *reply,
		  struct error *err)
{
	auto_buffer struct buffer routes = {0};
	auto_buffer struct buffer routes_6 = {0};
	auto_secret struct secret resolv = {0};
	auto_error struct error ignored = {0};
	auto_free char *real = NULL;
	json_t *addresses = json_array();
	json_t *list = json_array();
	struct slice text;

	(void)request;
	json_object_set_new(reply, "addresses", addresses);
	json_object_set_new(reply, "routes", list);
	if (host_addresses(addresses, err) < 0)
		return -1;
	host_proc_net(agent, "route", &routes);
	host_routes_4(buffer_as_slice(&routes), list);
	host_proc_net(agent, "ipv6_route", &routes_6);
	host_routes_6(buffer_as_slice(&routes_6), list);
	if (paths_read(agent->root, "/etc/resolv.conf", PATHS_READ, &resolv, NULL, &real,
		       &ignored) == 0)
		protocol_set_text(reply, "resolvConf", real);
	text = (struct slice){resolv.ptr, resolv.len};
	json_object_set_new(reply, "nameservers", processes_resolv_conf(text, /* search= */ false));
	json_object_set_new(reply, "search", processes_resolv_conf(text, /* search= */ true));
	return 0;
}

/* The last line, for an error's message. */
static struct slice host_last_line(const struct buffer *text)
{
	struct slice rest = slice_trim(buffer_as_slice(text));
	struct slice line = rest;

	while (slice_next(&rest, '\n', &line))
		;
	return slice_trim(line);
}

static int host_systemctl(const char *verb, struct buffer *ret_output, int *ret_status,
			  struct buffer *ret_errors, struct error *err)
{
	const char *argv[] = {"systemctl", verb, "kubelet", NULL};

	if (process_run(argv, NULL, (struct slice){0}, HOST_SYSTEMCTL_MS, ret_output, ret_errors,
			ret_status, err) < 0)
		return err->kind == ERROR_NOT_FOUND
			       ? error_set(err, ERROR_NOT_FOUND,
					   "the node has no systemctl; restart kubelet by hand")
			       : -1;
	return 0;
}

int host_kubelet_status(const struct agent *agent, const json_t *request, json_t *reply,
			struct error *err)
{
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error ignored = {0};
	auto_free char *active = NULL;
	int64_t started_at;
	int64_t pid;
	int status;

	(void)request;
	/* The exit status repeats the word. */
	if (host_systemctl("is-active", &output, &status, &errors, err) < 0)
		return -1;
	active = slice_dup(slice_trim(buffer_as_slice(&output)));
	protocol_set_text(reply, "active", active[0] ? active : "unknown");
	if (processes_find(agent, "kubelet", &pid, &started_at, &ignored) == 0) {
		json_object_set_new(reply, "pid", json_integer(pid));
		json_object_set_new(reply, "startedAt", json_integer(started_at));
	}
	return 0;
}

int host_restart_kubelet(const struct agent *agent, const json_t *request, json_t *reply,
			 struct error *err)
{
	int64_t end = clock_monotonic_ms() + HOST_KUBELET_MS;
	auto_buffer struct buffer output = {0};
	auto_buffer struct buffer errors = {0};
	auto_error struct error ignored = {0};
	int64_t before = 0;
	int64_t started_at;
	int64_t pid;
	int status;

	(void)request;
	if (processes_find(agent, "kubelet", &before, &started_at, &ignored) < 0)
		before = 0;
	if (host_systemctl("restart", &output, &status, &errors, err) < 0)
		return -1;
	if (status != 0) {
		struct slice line = host_last_line(&errors);

		return error_set(err, ERROR_IO, "kubelet was not restarted: %.*s", (int)line.len,
				 line.len ? line.ptr : "");
	}
	while (clock_monotonic_ms() < end) {
		auto_error struct error not_yet = {0};

		if (processes_find(agent, "kubelet", &pid, &started_at, &not_yet) == 0 &&
		    pid != before) {
			json_object_set_new(reply, "startedAt", json_integer(started_at));
			return 0;
		}
		if (clock_sleep_ms(HOST_KUBELET_STEP_MS, err) < 0)
			return -1;
	}
	return error_set(err, ERROR_IO,
			 "kubelet was restarted but does not run; look at 'journalctl -u kubelet'");
}
