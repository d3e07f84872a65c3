/* SPDX-License-Identifier: MIT */
#include "kube/watch.h"

#include <signal.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lib/fake_api.h"
#include "lib/test.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define Q(rv, round) "/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=" round rv
#define EVENT(type, name, rv)                                                                \
	"{\"type\":\"" type "\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name \
	"\",\"resourceVersion\":\"" rv "\"}}}\n"
#define GONE                                                                                  \
	"{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"message\":\"too " \
	"old\"}}\n"

static const struct kube_target pods = {.version = "v1", .plural = "pods"};

struct seen {
	struct buffer text;
	size_t enough; /* events; 0: never */
	size_t count;
	size_t fails; /* at this one */
};

static int on_event(void *data, enum kube_watch_type type, const json_t *object, struct error *err)
{
	struct seen *seen = data;

	if (++seen->count == seen->fails)
		return error_set(err, ERROR_REFUSED, "enough of that");
	buffer_format(&seen->text, "%c%s ", "+~-"[type], json_path_text(object, "metadata.name"));
	return seen->count == seen->enough;
}

/* One watch against a script. */
static int run(const struct fake_step *steps, size_t count, const char *version, struct seen *seen,
	       enum kube_watch_end *ret_end, struct error *err)
{
	struct fake_api *api = fake_api_start(steps, count, NULL, NULL);
	struct kube_config config = {.context = (char *)(uintptr_t) "test"};
	struct kube_watch_options options = {.resource_version = version};
	auto_free char *server = alloc_format("http://127.0.0.1:%u", fake_api_port(api));
	struct kube_client *kube;
	int result = -1;

	config.server = server;
	kube = kube_client_open(&config, NULL, err);
	if (CHECK(kube != NULL))
		result = kube_watch(kube, &pods, &options, on_event, seen, ret_end, err);
	kube_client_free(kube);
	fake_api_stop(api);
	return result;
}

static void test_events(void)
{
	static const struct fake_step steps[] = {
		/* the second event is cut in two by the end of the connection */
		{"GET", Q("&resourceVersion=5", "240"), NULL, 200, NULL,
		 EVENT("ADDED", "a", "6") EVENT("BOOKMARK", "", "9") "{\"type\":\"MODI",
		 FAKE_STREAM},
		{"GET", Q("&resourceVersion=9", "240"), NULL, 503, NULL, "", 0},
		{"GET", Q("&resourceVersion=9", "240"), NULL, 0, NULL, "", FAKE_CUT},
		{"GET", Q("&resourceVersion=9", "240"), NULL, 200, NULL,
		 EVENT("MODIFIED", "a", "10") "\n" EVENT("DELETED", "b", "11")
			 EVENT("ADDED", "c", "12"),
		 FAKE_STREAM},
	};
	struct seen seen = {.enough = 3};
	enum kube_watch_end end = KUBE_WATCH_TIMEOUT;
	struct error err = {0};

	TEST("goes on after each end from the last version seen, bookmarks too");
	CHECK_OK(run(steps, COUNT(steps), "5", &seen, &end, &err), &err);
	CHECK_INT(end, KUBE_WATCH_ENOUGH);
	CHECK_STR(buffer_cstr(&seen.text), "+a ~a -b ");
	buffer_release(&seen.text);
}

static void test_expiry(void)
{
	static const struct fake_step by_event[] = {
		{"GET", Q("&resourceVersion=5", "240"), NULL, 200, NULL,
		 EVENT("ADDED", "a", "6") GONE EVENT("ADDED", "never", "7"), FAKE_STREAM}};
	static const struct fake_step by_status[] = {
		{"GET", Q("", "240"), NULL, 410, NULL, "{\"kind\":\"Status\",\"code\":410}", 0}};
	struct seen seen = {0};
	enum kube_watch_end end = KUBE_WATCH_ENOUGH;
	struct error err = {0};

	TEST("410 in an event: list again");
	CHECK_OK(run(by_event, 1, "5", &seen, &end, &err), &err);
	CHECK_INT(end, KUBE_WATCH_EXPIRED);
	CHECK_STR(buffer_cstr(&seen.text), "+a ");
	TEST("410 as the answer: list again");
	end = KUBE_WATCH_ENOUGH;
	CHECK_OK(run(by_status, 1, NULL, &seen, &end, &err), &err);
	CHECK_INT(end, KUBE_WATCH_EXPIRED);
	buffer_release(&seen.text);
}

static void test_failures(void)
{
	static const struct fake_step forbidden[] = {
		{"GET", Q("", "240"), NULL, 403, NULL,
		 "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"pods is forbidden\"}",
		 0}};
	static const struct fake_step unauthorized[] = {
		{"GET", Q("", "240"), NULL, 401, NULL, "", 0}};
	static const struct fake_step malformed[] = {
		{"GET", Q("", "240"), NULL, 200, NULL, "{\"type\": oops}\n", FAKE_STREAM}};
	static const struct fake_step fine[] = {{"GET", Q("", "240"), NULL, 200, NULL,
						 EVENT("ADDED", "a", "6") EVENT("ADDED", "b", "7"),
						 FAKE_STREAM}};
	struct seen seen = {.fails = 2};
	enum kube_watch_end end;
	struct error err = {0};

	TEST("forbidden");
	CHECK_ERROR(run(forbidden, 1, NULL, &seen, &end, &err), &err, ERROR_API, "");
	TEST("not let in");
	CHECK_ERROR(run(unauthorized, 1, NULL, &seen, &end, &err), &err, ERROR_API,
		    "has no credential");
	TEST("malformed event");
	CHECK_ERROR(run(malformed, 1, NULL, &seen, &end, &err), &err, ERROR_PARSE,
		    "watch event:1:");
	TEST("a callback that fails ends it");
	CHECK_ERROR(run(fine, 1, NULL, &seen, &end, &err), &err, ERROR_REFUSED, "enough of that");
	CHECK_STR(buffer_cstr(&seen.text), "+a ");
	buffer_release(&seen.text);
}

static void test_timeout(void)
{
	static const struct fake_step silent[] = {
		{"GET", Q("", "1"), NULL, 0, NULL, NULL, FAKE_SILENT}};
	struct fake_api *api = fake_api_start(silent, 1, NULL, NULL);
	struct kube_config config = {.context = (char *)(uintptr_t) "test"};
	struct kube_watch_options options = {.timeout_ms = 900};
	auto_free char *server = alloc_format("http://127.0.0.1:%u", fake_api_port(api));
	enum kube_watch_end end = KUBE_WATCH_ENOUGH;
	int64_t before = clock_monotonic_ms();
	struct seen seen = {0};
	struct error err = {0};
	struct kube_client *kube;

	TEST("time-out while nothing happens");
	config.server = server;
	kube = kube_client_open(&config, NULL, &err);
	CHECK_OK(kube_watch(kube, &pods, &options, on_event, &seen, &end, &err), &err);
	CHECK_INT(end, KUBE_WATCH_TIMEOUT);
	CHECK(clock_monotonic_ms() - before >= 900);
	CHECK(clock_monotonic_ms() - before < 30000);
	kube_client_free(kube);
	fake_api_stop(api);
}

static void on_alarm(int number)
{
	(void)number;
	raise(SIGINT);
}

static void test_interrupt(void)
{
	static const struct fake_step silent[] = {
		{"GET", Q("", "240"), NULL, 0, NULL, NULL, FAKE_SILENT}};
	enum kube_watch_end end = KUBE_WATCH_ENOUGH;
	struct seen seen = {0};
	struct error err = {0};

	TEST("^C ends a silent watch");
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 300000}}, NULL);
	CHECK_ERROR(run(silent, 1, NULL, &seen, &end, &err), &err, ERROR_INTERRUPTED,
		    "stopped by request");
	interrupt_reset();
}

int main(void)
{
	interrupt_install();
	test_timeout();
	clock_set_virtual(1000000, 1795392000);
	test_events();
	test_expiry();
	test_failures();
	test_interrupt();
	return test_done();
}
