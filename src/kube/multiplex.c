/* SPDX-License-Identifier: MIT */
#include "kube/multiplex.h"

#include <curl/curl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "base/limits.h"
#include "base/log.h"
#include "kube/client_parts.h"

#define MULTIPLEX_PARALLEL 8
#define MULTIPLEX_POLL_MS 1000

/* One request at a time, with a handle of its own on the common connection. */
struct multiplex_lane {
	struct kube_transport *transport; /* owned */
	struct kube_attempt attempt;
	struct kube_answer answer; /* owned */
	struct kube_request request;
	int64_t begun_ms;
	size_t job;
	bool busy;
};

struct kube_multiplex {
	struct kube_client *kube; /* borrowed */
	CURLM *multi;
	struct multiplex_lane *lanes;
	size_t lane_count;
};

/* ---- life ---- */

static int multiplex_open_lanes(struct kube_multiplex *many, size_t count, struct error *err)
{
	struct kube_transport_options options = {0};

	options.address = kube_transport_address(many->kube->transport, &options.port);
	many->lanes = alloc_array(count, sizeof(*many->lanes));
	for (; many->lane_count < count; many->lane_count++) {
		struct multiplex_lane *lane = &many->lanes[many->lane_count];

		*lane = (struct multiplex_lane){
			.transport = kube_transport_new(many->kube->config, &options, err)};
		if (!lane->transport)
			return -1;
	}
	return 0;
}

struct kube_multiplex *kube_multiplex_open(struct kube_client *kube, unsigned parallel,
					   struct error *err)
{
	auto_kube_multiplex struct kube_multiplex *many = ALLOC_NEW(struct kube_multiplex);

	many->kube = kube;
	many->multi = curl_multi_init();
	if (!many->multi) {
		error_set(err, ERROR_IO, "cannot initialise libcurl");
		return NULL;
	}
	curl_multi_setopt(many->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(many->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
	if (multiplex_open_lanes(many, parallel ? parallel : MULTIPLEX_PARALLEL, err) < 0)
		return NULL;
	return steal(many);
}

static void multiplex_answer_release(struct kube_answer *answer)
{
	kube_reply_release(&answer->reply);
	error_release(&answer->error);
	*answer = (struct kube_answer){0};
}

void kube_multiplex_free(struct kube_multiplex *many)
{
	if (!many)
		return;
	for (size_t i = 0; i < many->lane_count; i++) {
		multiplex_answer_release(&many->lanes[i].answer);
		kube_transport_free(many->lanes[i].transport);
	}
	free(many->lanes);
	curl_multi_cleanup(many->multi);
	free(many);
}

/* ---- one request ---- */

static void multiplex_send(struct kube_multiplex *many, struct multiplex_lane *lane)
{
	const struct kube_request *request = &lane->request;
	CURL *handle = kube_transport_handle(lane->transport);

	multiplex_answer_release(&lane->answer);
	lane->answer.reply.body.max = LIMIT_HTTP_BODY;
	lane->begun_ms = clock_monotonic_ms();
	lane->attempt = (struct kube_attempt){
		.method = kube_client_method(request->method),
		.path = request->path,
		.content_type = kube_client_content(request->method),
		.accept = "application/json",
		.body = request->body,
		.timeout_ms = request->timeout_ms ? request->timeout_ms : many->kube->timeout_ms,
		.connect_ms = many->kube->connect_ms,
		.safe = request->method == KUBE_GET,
		.take = kube_client_take,
		.data = &lane->answer.reply.body,
	};
	kube_transport_begin(lane->transport, kube_client_credential(many->kube), &lane->attempt);
	curl_easy_setopt(handle, CURLOPT_PRIVATE, lane);
	/* rather share the connection that is being opened than open a second one */
	curl_easy_setopt(handle, CURLOPT_PIPEWAIT, 1L);
	curl_multi_add_handle(many->multi, handle);
	lane->busy = true;
}

static void multiplex_receive(struct kube_multiplex *many, struct multiplex_lane *lane,
			      CURLcode code)
{
	struct kube_answer *answer = &lane->answer;
	struct kube_reply *reply = &answer->reply;
	auto_free char *label = NULL;
	int result;

	curl_multi_remove_handle(many->multi, kube_transport_handle(lane->transport));
	lane->busy = false;
	result = kube_transport_end(lane->transport, (int)code, &answer->error);
	answer->took_ms = clock_monotonic_ms() - lane->begun_ms;
	reply->sent = lane->attempt.sent;
	reply->status = result < 0 ? 0 : lane->attempt.status;
	if (result < 0 || buffer_check(&reply->body, "the answer", &answer->error) < 0)
		return;
	many->kube->reached = true;
	if (reply->status >= 200 && reply->status < 300)
		return;
	kube_reply_decode(reply);
	label = alloc_format("%s %s", lane->attempt.method, lane->attempt.path);
	(void)kube_reply_error(reply, label, kube_transport_server(lane->transport),
			       &answer->error);
}

/* ---- jobs ---- */

struct multiplex_run {
	struct kube_multiplex *many;
	const struct kube_jobs *jobs;
	size_t begun;
	size_t busy;
};

/* Asks the lane's job for its next request; false when it is over. */
static bool multiplex_go_on(struct multiplex_run *run, struct multiplex_lane *lane,
			    const struct kube_answer *last)
{
	lane->request = (struct kube_request){0};
	if (!run->jobs->next(run->jobs->data, lane->job, last, &lane->request))
		return false;
	multiplex_send(run->many, lane);
	return true;
}

/* Gives an idle lane the next job that has a request to make. */
static void multiplex_begin(struct multiplex_run *run, struct multiplex_lane *lane)
{
	while (run->begun < run->jobs->count && !interrupt_requested()) {
		lane->job = run->begun++;
		if (multiplex_go_on(run, lane, NULL)) {
			run->busy++;
			return;
		}
	}
}

static void multiplex_collect(struct multiplex_run *run)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(run->many->multi, &left))) {
		struct multiplex_lane *lane = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&lane);
		multiplex_receive(run->many, lane, message->data.result);
		if (multiplex_go_on(run, lane, &lane->answer))
			continue;
		run->busy--;
		multiplex_begin(run, lane);
	}
}

/* libcurl itself failed: what is under way is taken back unanswered. */
static void multiplex_abandon(struct kube_multiplex *many)
{
	for (size_t i = 0; i < many->lane_count; i++)
		if (many->lanes[i].busy)
			multiplex_receive(many, &many->lanes[i], CURLE_ABORTED_BY_CALLBACK);
}

int kube_multiplex_run(struct kube_multiplex *many, const struct kube_jobs *jobs, struct error *err)
{
	struct multiplex_run run = {.many = many, .jobs = jobs};
	CURLMcode code = CURLM_OK;
	int under_way;

	if (kube_credential_refresh(kube_client_credential(many->kube), many->kube->config, false,
				    err) < 0)
		return -1;
	for (size_t i = 0; i < many->lane_count; i++)
		multiplex_begin(&run, &many->lanes[i]);
	while (run.busy && code == CURLM_OK) {
		code = curl_multi_perform(many->multi, &under_way);
		multiplex_collect(&run);
		if (run.busy && code == CURLM_OK)
			code = curl_multi_poll(many->multi, NULL, 0, MULTIPLEX_POLL_MS, NULL);
	}
	if (code != CURLM_OK) {
		multiplex_abandon(many);
		return error_set(err, ERROR_NETWORK, "no answer from %s: %s",
				 kube_client_server(many->kube), curl_multi_strerror(code));
	}
	if (run.begun < jobs->count)
		return error_set(err, ERROR_INTERRUPTED, "stopped by request");
	return 0;
}
