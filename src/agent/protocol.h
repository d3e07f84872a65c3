/* SPDX-License-Identifier: MIT */
#ifndef AGENT_PROTOCOL_H
#define AGENT_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * What the CLI and renumber-agent say to each other on the agent's stdin and stdout: one JSON
 * object a line, at most LIMIT_AGENT_MESSAGE bytes, nested at most LIMIT_DEPTH deep. The agent
 * speaks first (hello), then answers each request in order, one at a time. It ends when its stdin
 * closes.
 *
 *	< {"agent":"renumber-agent","protocol":1, …as the answer to "info"…}
 *	> {"id":1,"op":"read-file","path":"/etc/kubernetes/manifests/kube-apiserver.yaml"}
 *	< {"id":1,"ok":true,"content":"YXBp…","sha256":"…", …}
 *	> {"id":2,"op":"read-file","path":"/etc/shadow"}
 *	< {"id":2,"ok":false,"kind":"refused","error":"'/etc/shadow' is not a path that …"}
 *
 * Bytes (content, expected, replacement, pem, csr) are base64; sha256 is lower-case hex; times
 * are wall seconds since 1970, UTC; paths are absolute. `?` marks what may be missing.
 *
 * Operations, request => answer:
 *
 * info {} => {protocol, version, hostname, uid, machine, kernel, bootId, bootTime, now,
 *	manifests: bool (the folder /etc/kubernetes/manifests exists), root? (tests only)}
 * list-files {path, recursive?: bool} => {files: [{path, type: file|folder|link|other, size, mode,
 *	uid, gid, mtime, target?}]}; names that begin with a dot are listed too; not-found when
 *	the folder is not there
 * read-file {path} => {path, realPath, content, sha256, size, mode, uid, gid, mtime, masked: bool}
 *	private keys are refused; values of keys, tokens and passwords are masked by 'x', byte by
 *	byte, so that every offset stays true, and sha256 is that of the file as it is
 * read-files {paths: [..]} => {files: [as read-file, or {path, kind, error}]}
 * write-file {run?, path, content, expect: sha256 | "absent", mode?: int} => {changed: bool, sha256}
 *	conflict unless the file is as expected; changed is false when it holds the content already
 * replace-in-file {run?, path, sha256, edits: [{offset, expected, replacement}]} =>
 *	{changed: bool, sha256}; edits are in order of offset and do not overlap; expected is what
 *	stands at offset now; changed is false when the edits have been made already (the file
 *	with the edits undone has the given sha256); anything else is a conflict
 * remove-file {run, path, sha256?} => {changed: bool}; kept in the run's backup
 *
 *	With `run` the first state of a file that the run touches is kept as by backup.
 *
 * backup {run, paths: [..]} => {files: [{path, sha256?, absent: bool}]}; a folder counts as every
 *	file in it; what is backed up already stays as it is
 * restore {run, paths?: [..]} => {files: [{path, changed: bool}]}; bytes, mode and owner as they
 *	were; a file that was absent is removed; without paths all of the run
 * list-backups {} => {runs: [{run, files: [{path, sha256?, mode, uid, gid, absent: bool}], problem?}]}
 * forget {run} => {changed: bool}
 *
 * processes {cidrs: [..]} => {
 *	servers: [{name, pid, startedAt, args: [..]}]: kube-apiserver, kube-controller-manager,
 *		kube-scheduler, kubelet, kube-proxy, etcd in this network namespace; args[0] is the
 *		program; the values of flags that carry secrets are masked
 *	containers: [{podUID, containerID, pid (oldest process), startedAt, command, hostNetwork: bool,
 *		env: {KUBERNETES_SERVICE_HOST?, KUBERNETES_SERVICE_PORT?, *_SERVICE_HOST in cidrs},
 *		nameservers: [..], sandbox: bool (runs pause)}]}
 * restart-kubelet {} => {startedAt}; kubelet-status {} => {active: text of systemctl is-active,
 *	pid?, startedAt?}
 * sysfacts {} => {addresses: [{interface, address, prefix}], routes: [{destination: CIDR, gateway?,
 *	interface}], nameservers: [..], search: [..], resolvConf: real path?}
 * dial {address, port, kind: tcp|tls|livez, serverName?, source?, timeoutMs?} => {reached: bool, latencyMs,
 *	error?, httpStatus?, certificate?: as pki/cert.h has it, chain?: [DER, leaf first]}
 *	the chain is verified against /etc/kubernetes/pki/ca.crt, the name is serverName or address;
 *	source is an address of the node itself that the connection comes from;
 *	livez is reached by 200, 401 and 403; not being reached is an answer, not an error
 * dns {server, name, port?, timeoutMs?} => {answered: bool, latencyMs, addresses: [..], error?, rcode?}
 *	one A query over UDP
 * proxy-metrics {address?, port?, timeoutMs?} => {now, families: [{family: IPv4|IPv6|"" (not said),
 *	lastSync?, lastQueued?, syncs?, syncSeconds?, programmed?}]}; all reals: seconds since 1970
 *	of the end of kube-proxy's last sync and of the last change that asked for one; how many
 *	syncs there were and the seconds they took in all; how many changes of endpoints are programmed.
 *	address is loopback or the node's own (127.0.0.1, port 10249); network when nothing
 *	listens there
 *
 * probe-start {targets: [{name, address, port, kind: tcp|tls|dns, everyMs, timeoutMs? (500),
 *	serverName?}]} => {targets: number, now: wall ms}; from then on each target is asked at that
 *	pace, whatever else the agent does. tls verifies as dial does and asks for /livez; dns asks
 *	for serverName (kubernetes.default.svc.cluster.local). Nothing is tried twice. A target
 *	that is in the set already goes on; one that is missing ends; targets: [] is a set, too
 * probe-read {} => {since, now: wall ms, targets: [{name, ok, failed, maxMs, sumMs, gapMs, dropped,
 *	skipped, failures: [{at: wall ms, tookMs, why}]}]} since the last look; at most 100 failures
 *	a target, `dropped` are more; not-found when no probes run
 * probe-stop {} => {changed: bool}
 * conntrack {cidrs: [..], mark?: bool} => {known: bool, problem?, marked: bool, entries, truncated: bool,
 *	users: [{source, address, port, protocol: tcp|udp|other, connections, fresh}], countersKnown: bool,
 *	counters: [{address, packets}]}
 *	connections through this node to addresses in cidrs, by client; at most 1000 clients. `mark`
 *	makes this look the one that later ones are compared with: `fresh` connections are open, have
 *	begun or had a packet since (without one: TCP that is open, and all else), `packets` came since to kube-proxy's iptables rules
 *
 * certs-audit, certs-names, certs-issue, certs-csr, certs-import, certs-restore: requests and
 *	answers are those of pki/op.h; `root` and `folder` may be left out (/etc/kubernetes,
 *	/etc/kubernetes/pki); `run` stands instead of `backup` and `stage`
 */
#define PROTOCOL_VERSION 1
#define PROTOCOL_AGENT_NAME "renumber-agent"

enum protocol_op_flags {
	/* Doing it twice is as good as once: sent again after a lost connection. */
	PROTOCOL_OP_REPEATABLE = 1 << 0,
	/* Changes something on the node. */
	PROTOCOL_OP_WRITES = 1 << 1,
};

struct protocol_op {
	const char *name;
	enum protocol_op_flags flags;
	int64_t timeout_ms; /* how long the CLI waits for the answer */
};

/* The closed list; NULL when there is no such operation. */
const struct protocol_op *protocol_op_find(const char *name);
/* The i-th operation, NULL behind the last. */
const struct protocol_op *protocol_op_at(size_t i);

/* One line without its line feed. ERROR_PARSE unless it is one JSON object without duplicate keys
 * within the limits. *ret is the caller's (json_decref). */
must_check int protocol_parse(struct slice line, json_t **ret, struct error *err);

/* Appends the message and a line feed. */
must_check int protocol_format(const json_t *message, struct buffer *out, struct error *err);

/* "not-found", "conflict", …: how an error kind is written; an unknown text reads as ERROR_IO. */
const char *protocol_kind_name(enum error_kind kind);
enum error_kind protocol_kind(const char *name);

/* Members of a request or an answer. They fail with ERROR_PARSE, which names the member, when it
 * is missing or of another type. Texts are borrowed from the object and hold no NUL. */
must_check int protocol_text(const json_t *object, const char *name, const char **ret,
			     struct error *err);
must_check int protocol_integer(const json_t *object, const char *name, int64_t min, int64_t max,
				int64_t *ret, struct error *err);
must_check int protocol_bytes(const json_t *object, const char *name, struct buffer *ret,
			      struct error *err);
must_check int protocol_list(const json_t *object, const char *name, json_t **ret_borrowed,
			     struct error *err);
/* NULL, `fallback`: when it is missing. */
must_check int protocol_optional_text(const json_t *object, const char *name, const char **ret,
				      struct error *err);
must_check int protocol_optional_integer(const json_t *object, const char *name, int64_t min,
					 int64_t max, int64_t fallback, int64_t *ret,
					 struct error *err);

/* Base64 of the bytes as a JSON text. */
json_t *protocol_base64(const void *bytes, size_t len);

/* Sets a text member; bytes that are not UTF-8 become '?'. */
void protocol_set_text(json_t *object, const char *name, const char *text);

#endif
