/* SPDX-License-Identifier: MIT */
#include "agent/probe.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/dial.h"
#include "agent/dns.h"
#include "agent/probe_request.h"
#include "agent/protocol.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "pki/x509.h"
#include "text/json.h"

#define PROBE_STACK ((size_t)256 * 1024)
#define PROBE_TIMEOUT_MS 500
/* With nothing to ask it sleeps so long; it is woken when that changes. */
#define PROBE_NAP_MS 2000
/* A thread that did not run for so long has seen nothing; what it missed is nobody's failure. */
#define PROBE_STALL_MS 60

struct probe_target {
	char name[256];
	struct probe_goal goal;
	int64_t every_ms;
	int64_t timeout_ms;
	int64_t next_ms; /* when the next request is due */
	/* Requests in the order in which they began: a ring. */
	struct probe_request flight[PROBE_FLIGHT_MAX];
	size_t first;
	size_t count;
	uint64_t skipped; /* not begun, because too many were under way */
	struct probe_stats stats;
};

/* The first one is what it is woken by. */
#define PROBE_POLL_MAX (1 + PROBE_TARGETS_MAX * PROBE_FLIGHT_MAX)

struct probe_poll {
	struct pollfd fds[PROBE_POLL_MAX];
	struct probe_target *targets[PROBE_POLL_MAX];
	struct probe_request *requests[PROBE_POLL_MAX];
	nfds_t count;
};

static struct {
	pthread_mutex_t lock;
	pthread_t thread;
	int wake; /* eventfd(2) */
	bool runs;
	bool stop;
	uint64_t generation; /* of the set: what was polled before a change is void */
	SSL_CTX *context;
	struct probe_target *targets[PROBE_TARGETS_MAX]; /* owned */
	size_t count;
	int64_t read_wall_ms;	 /* the last look */
	struct probe_poll *poll; /* owned by the thread */
} probe_set = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void probe_target_free(struct probe_target *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < PROBE_FLIGHT_MAX; i++)
		probe_request_release(&t->flight[i]);
	free(t->goal.http);
	free(t);
}

/* ---- the thread ---- */

static struct probe_request *probe_flight_at(struct probe_target *t, size_t i)
{
	return &t->flight[(t->first + i) % PROBE_FLIGHT_MAX];
}

/* Counts what is over, in the order in which it began. */
static void probe_retire(struct probe_target *t)
{
	while (t->count && probe_flight_at(t, 0)->state == PROBE_OVER) {
		struct probe_request *r = probe_flight_at(t, 0);

		probe_stats_add(&t->stats, r->begun_wall_ms, r->took_ms,
				r->answered ? NULL : r->why);
		probe_request_release(r);
		t->first = (t->first + 1) % PROBE_FLIGHT_MAX;
		t->count--;
	}
}

static void probe_launch(struct probe_target *t, int64_t now)
{
	if (now < t->next_ms)
		return;
	t->next_ms += t->every_ms;
	if (t->next_ms <= now) /* we did not run for a while: no burst to make up for it */
		t->next_ms = now + t->every_ms;
	if (t->count == PROBE_FLIGHT_MAX) {
		t->skipped++;
		return;
	}
	t->count++;
	probe_request_begin(probe_flight_at(t, t->count - 1), &t->goal, t->timeout_ms);
}

static void probe_expire(struct probe_target *t, int64_t now, int64_t stalled)
{
	for (size_t i = 0; i < t->count; i++) {
		struct probe_request *r = probe_flight_at(t, i);

		r->deadline_ms += stalled;
		if (r->state != PROBE_OVER && now >= r->deadline_ms)
			probe_request_expire(r, t->timeout_ms);
	}
}

/* Lists what to poll for; gives how long. */
static int64_t probe_collect(struct probe_poll *p, int64_t now)
{
	int64_t wake = now + PROBE_NAP_MS;

	p->fds[0] = (struct pollfd){probe_set.wake, POLLIN, 0};
	p->count = 1;
	for (size_t i = 0; i < probe_set.count; i++) {
		struct probe_target *t = probe_set.targets[i];

		if (t->next_ms < wake)
			wake = t->next_ms;
		for (size_t k = 0; k < t->count; k++) {
			struct probe_request *r = probe_flight_at(t, k);

			if (r->state == PROBE_OVER)
				continue;
			if (r->deadline_ms < wake)
				wake = r->deadline_ms;
			p->fds[p->count] = (struct pollfd){r->fd, r->events, 0};
			p->targets[p->count] = t;
			p->requests[p->count++] = r;
		}
	}
	return wake > now ? wake - now : 0;
}

/* The set has changed. */
static void probe_wake(void)
{
	static const uint64_t one = 1;

	(void)!write(probe_set.wake, &one, sizeof(one));
}

static void probe_woken(void)
{
	uint64_t count;

	(void)!read(probe_set.wake, &count, sizeof(count));
}

/* One turn, with the lock held but for the waiting. */
static void probe_turn(struct probe_poll *p)
{
	int64_t now = clock_monotonic_ms();
	int64_t stalled = 0;
	uint64_t generation;
	int64_t wait;
	int64_t woke;

	for (size_t i = 0; i < probe_set.count; i++)
		probe_launch(probe_set.targets[i], now);
	wait = probe_collect(p, now);
	generation = probe_set.generation;
	pthread_mutex_unlock(&probe_set.lock);
	if (poll(p->fds, p->count, (int)wait) < 0)
		p->count = 0;
	pthread_mutex_lock(&probe_set.lock);
	if (p->count && p->fds[0].revents)
		probe_woken();
	if (generation != probe_set.generation)
		return;
	woke = clock_monotonic_ms();
	if (woke - now - wait > PROBE_STALL_MS)
		stalled = woke - now - wait;
	/* Answers first: one that is there was in time, however late we look. */
	for (nfds_t i = 1; i < p->count; i++)
		if (p->fds[i].revents)
			probe_request_step(p->requests[i], &p->targets[i]->goal);
	for (size_t i = 0; i < probe_set.count; i++) {
		probe_expire(probe_set.targets[i], woke, stalled);
		probe_retire(probe_set.targets[i]);
	}
}

static void *probe_thread(void *data)
{
	struct probe_poll *p = data;

	pthread_mutex_lock(&probe_set.lock);
	while (!probe_set.stop)
		probe_turn(p);
	pthread_mutex_unlock(&probe_set.lock);
	OPENSSL_thread_stop();
	return NULL;
}

static int probe_run_thread(struct error *err)
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;
	int result;

	/* One arena for all threads: the agent stays small. */
	mallopt(M_ARENA_MAX, 1);
	probe_set.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (probe_set.wake < 0)
		return error_errno(err, "cannot wake a thread");
	probe_set.poll = ALLOC_NEW(struct probe_poll);
	probe_set.stop = false;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PROBE_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(&probe_set.thread, &attributes, probe_thread, probe_set.poll);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (result == 0) {
		probe_set.runs = true;
		return 0;
	}
	free(steal(probe_set.poll));
	close(probe_set.wake);
	return error_set(err, ERROR_IO, "cannot start a thread: %s", strerror(result));
}

/* ---- operations ---- */

static int probe_parse_kind(const json_t *item, enum probe_kind *ret, struct error *err)
{
	static const char *const names[] = {
		[PROBE_TCP] = "tcp", [PROBE_TLS] = "tls", [PROBE_DNS] = "dns"};
	const char *text;

	if (protocol_text(item, "kind", &text, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], text) == 0) {
			*ret = (enum probe_kind)i;
			return 0;
		}
	return error_set(err, ERROR_PARSE, "member 'kind' is not tcp, tls or dns");
}

static int probe_parse_name(const json_t *item, struct probe_target *t, const char *address,
			    struct error *err)
{
	auto_buffer struct buffer packet = {0};
	const char *text = NULL;

	if (protocol_optional_text(item, "serverName", &text, err) < 0)
		return -1;
	if (!text)
		text = t->goal.kind == PROBE_DNS ? "kubernetes.default.svc.cluster.local" : address;
	if (strlen(text) >= sizeof(t->goal.name) ||
	    (t->goal.kind == PROBE_DNS ? dns_query(text, 0, &packet, err) < 0
				       : !dial_is_host(text)))
		return error_set(err, ERROR_PARSE, "member 'serverName' is no name");
	memcpy(t->goal.name, text, strlen(text) + 1);
	return 0;
}

static int probe_parse_target(const json_t *item, struct probe_target *t, struct error *err)
{
	const char *address;
	const char *name;
	int64_t port;

	if (!json_is_object(item))
		return error_set(err, ERROR_PARSE, "a target is no object");
	if (protocol_text(item, "name", &name, err) < 0 ||
	    protocol_text(item, "address", &address, err) < 0 ||
	    net_address_parse(slice_of(address), &t->goal.address, err) < 0 ||
	    protocol_integer(item, "port", 1, 65535, &port, err) < 0 ||
	    protocol_integer(item, "everyMs", PROBE_EVERY_MIN_MS, 60000, &t->every_ms, err) < 0 ||
	    protocol_optional_integer(item, "timeoutMs", 10, 10000, PROBE_TIMEOUT_MS,
				      &t->timeout_ms, err) < 0 ||
	    probe_parse_kind(item, &t->goal.kind, err) < 0 ||
	    probe_parse_name(item, t, address, err) < 0)
		return -1;
	if (!name[0] || strlen(name) >= sizeof(t->name))
		return error_set(err, ERROR_PARSE, "member 'name' is empty or too long");
	memcpy(t->name, name, strlen(name) + 1);
	t->goal.port = (uint16_t)port;
	if (t->goal.kind == PROBE_TLS)
		t->goal.http = dial_livez_request(t->goal.name);
	for (size_t i = 0; i < PROBE_FLIGHT_MAX; i++)
		t->flight[i].fd = -1;
	return 0;
}

struct probe_list {
	struct probe_target *items[PROBE_TARGETS_MAX];
	size_t count;
};

static void probe_list_release(struct probe_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		probe_target_free(list->items[i]);
	list->count = 0;
}

static int probe_check_list(const struct probe_list *list, struct error *err)
{
	int64_t rate = 0;
	size_t tls = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct probe_target *t = list->items[i];

		rate += (1000 + t->every_ms - 1) / t->every_ms;
		tls += t->goal.kind == PROBE_TLS;
		for (size_t k = 0; k < i; k++)
			if (strcmp(list->items[k]->name, t->name) == 0)
				return error_set(err, ERROR_PARSE, "two targets are named '%s'",
						 t->name);
	}
	if (tls > PROBE_TLS_TARGETS_MAX)
		return error_set(err, ERROR_REFUSED, "more than %d targets are of the kind tls",
				 PROBE_TLS_TARGETS_MAX);
	if (rate > PROBE_RATE_MAX)
		return error_set(err, ERROR_REFUSED, "more than %d requests a second",
				 PROBE_RATE_MAX);
	return 0;
}

static int probe_parse_list(const json_t *request, struct probe_list *list, struct error *err)
{
	json_t *targets;
	const json_t *item;
	size_t i;

	if (protocol_list(request, "targets", &targets, err) < 0)
		return -1;
	if (json_array_size(targets) > PROBE_TARGETS_MAX)
		return error_set(err, ERROR_REFUSED, "more than %d targets", PROBE_TARGETS_MAX);
	json_array_foreach(targets, i, item) {
		list->items[list->count++] = ALLOC_NEW(struct probe_target);
		if (probe_parse_target(item, list->items[i], err) < 0)
			return -1;
	}
	return probe_check_list(list, err);
}

/* A certificate authority that cannot be read is a fact about this node: the caller does without
 * these targets. */
static int probe_prepare_tls(const struct agent *agent, struct probe_list *list, struct error *err)
{
	bool wanted = false;

	for (size_t i = 0; i < list->count; i++)
		wanted |= list->items[i]->goal.kind == PROBE_TLS;
	if (!wanted || probe_set.context)
		return 0;
	probe_set.context = SSL_CTX_new(TLS_client_method());
	if (!probe_set.context ||
	    SSL_CTX_set_min_proto_version(probe_set.context, TLS1_2_VERSION) != 1)
		return pki_openssl_error(err, ERROR_IO, "cannot prepare TLS");
	SSL_CTX_set_mode(probe_set.context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(probe_set.context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(probe_set.context, SSL_VERIFY_PEER, NULL);
	if (dial_load_ca(agent, probe_set.context, err) == 0)
		return 0;
	SSL_CTX_free(probe_set.context);
	probe_set.context = NULL;
	return -1;
}

static bool probe_is_same(const struct probe_target *a, const struct probe_target *b)
{
	return strcmp(a->name, b->name) == 0 && a->goal.kind == b->goal.kind &&
	       net_address_equal(a->goal.address, b->goal.address) &&
	       a->goal.port == b->goal.port && strcmp(a->goal.name, b->goal.name) == 0 &&
	       a->every_ms == b->every_ms && a->timeout_ms == b->timeout_ms;
}

/* The list becomes the set; what goes on keeps its numbers and its requests under way. */
static void probe_take_list(struct probe_list *list)
{
	int64_t now = clock_monotonic_ms();
	struct probe_list old = {.count = probe_set.count};

	memcpy(old.items, probe_set.targets, sizeof(old.items));
	for (size_t i = 0; i < list->count; i++) {
		struct probe_target *t = list->items[i];

		/* Targets do not all ask in the same millisecond. */
		t->next_ms = now + (int64_t)i * t->every_ms / (int64_t)list->count;
		t->goal.context = probe_set.context;
		for (size_t k = 0; k < old.count; k++) {
			if (!old.items[k] || !probe_is_same(old.items[k], t))
				continue;
			probe_target_free(t);
			t = old.items[k];
			old.items[k] = NULL;
		}
		probe_set.targets[i] = t;
	}
	probe_set.count = list->count;
	probe_set.generation++;
	list->count = 0;
	probe_list_release(&old);
}

int probe_start(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	__attribute__((cleanup(probe_list_release))) struct probe_list list = {0};

	if (probe_parse_list(request, &list, err) < 0)
		return -1;
	pthread_mutex_lock(&probe_set.lock);
	if (probe_prepare_tls(agent, &list, err) < 0) {
		pthread_mutex_unlock(&probe_set.lock);
		return -1;
	}
	json_object_set_new(reply, "targets", json_integer((json_int_t)list.count));
	json_object_set_new(reply, "now", json_integer(clock_wall_ms()));
	if (!probe_set.runs)
		probe_set.read_wall_ms = clock_wall_ms();
	probe_take_list(&list);
	if (probe_set.runs)
		probe_wake();
	pthread_mutex_unlock(&probe_set.lock);
	return probe_set.runs ? 0 : probe_run_thread(err);
}

static json_t *probe_failures_json(const struct probe_stats *stats)
{
	json_t *list = json_array();

	for (size_t i = 0; i < stats->failed && i < PROBE_FAILURES_MAX; i++) {
		const struct probe_failure *failure = &stats->failures[i];
		json_t *item = json_pack("{s:I, s:I}", "at", (json_int_t)failure->at_ms, "tookMs",
					 (json_int_t)failure->took_ms);

		protocol_set_text(item, "why", failure->why);
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *probe_target_json(const struct probe_target *t, int64_t now)
{
	const struct probe_stats *stats = &t->stats;
	int64_t gap = stats->failing_since_ms ? now - stats->failing_since_ms : 0;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "name", t->name, "ok",
			 (json_int_t)stats->ok, "failed", (json_int_t)stats->failed, "maxMs",
			 (json_int_t)stats->max_ms, "sumMs", (json_int_t)stats->sum_ms, "gapMs",
			 (json_int_t)(gap > stats->gap_ms ? gap : stats->gap_ms), "dropped",
			 (json_int_t)stats->failures_dropped, "skipped", (json_int_t)t->skipped,
			 "failures", probe_failures_json(stats));
}

int probe_read(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	json_t *list = json_array();
	int64_t now = clock_wall_ms();

	(void)agent;
	(void)request;
	json_object_set_new(reply, "targets", list);
	if (!probe_set.runs)
		return error_set(err, ERROR_NOT_FOUND, "no probes run on this node");
	pthread_mutex_lock(&probe_set.lock);
	for (size_t i = 0; i < probe_set.count; i++) {
		struct probe_target *t = probe_set.targets[i];

		json_array_append_new(list, probe_target_json(t, now));
		probe_stats_reset(&t->stats);
		t->skipped = 0;
	}
	json_object_set_new(reply, "since", json_integer(probe_set.read_wall_ms));
	json_object_set_new(reply, "now", json_integer(now));
	probe_set.read_wall_ms = now;
	pthread_mutex_unlock(&probe_set.lock);
	return 0;
}

int probe_stop(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	struct probe_list none = {0};

	(void)agent;
	(void)request;
	(void)err;
	json_object_set_new(reply, "changed", json_boolean(probe_set.runs));
	if (!probe_set.runs)
		return 0;
	pthread_mutex_lock(&probe_set.lock);
	probe_set.stop = true;
	probe_take_list(&none);
	probe_wake();
	pthread_mutex_unlock(&probe_set.lock);
	pthread_join(probe_set.thread, NULL);
	close(probe_set.wake);
	probe_set.runs = false;
	free(steal(probe_set.poll));
	SSL_CTX_free(probe_set.context);
	probe_set.context = NULL;
	return 0;
}
