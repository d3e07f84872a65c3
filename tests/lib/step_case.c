/* SPDX-License-Identifier: MIT */
#include "lib/step_case.h"

#include "base/alloc.h"
#include "kube/config.h"
#include "lib/test.h"

static int step_case_keep(struct step_context *context, const struct plan_step *step,
			  const char *name, const json_t *document, struct error *err)
{
	struct step_case *c = context->data;

	(void)step;
	(void)err;
	if (!json_object_get(c->kept, name))
		json_object_set_new(c->kept, name, json_deep_copy(document));
	return 0;
}

static json_t *step_case_kept(struct step_context *context, const struct plan_step *step,
			      const char *name)
{
	struct step_case *c = context->data;

	(void)step;
	return json_incref(json_object_get(c->kept, name));
}

static int step_case_tick(struct step_context *context, struct error *err)
{
	(void)context;
	(void)err;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void step_case_say(struct step_context *context,
								const char *fmt, ...)
{
	(void)context;
	(void)fmt;
}

void step_case_open(struct step_case *c, const struct fake_step *script, size_t count,
		    const struct plan *plan, json_t *kept)
{
	auto_error struct error err = {0};

	*c = (struct step_case){.api = fake_api_start(script, count, NULL, NULL), .kept = kept};
	c->config.context = alloc_text("test");
	c->config.server = alloc_format("http://127.0.0.1:%u", fake_api_port(c->api));
	c->context = (struct step_context){.kube = kube_client_open(&c->config, NULL, &err),
					   .keep = step_case_keep,
					   .kept = step_case_kept,
					   .tick = step_case_tick,
					   .say = step_case_say,
					   .backup_folder = test_folder(),
					   .plan = plan,
					   .data = c};
	CHECK_OK(c->context.kube ? 0 : -1, &err);
}

void step_case_close(struct step_case *c)
{
	kube_client_free(c->context.kube);
	fake_api_stop(c->api);
	kube_config_release(&c->config);
	*c = (struct step_case){0};
}
