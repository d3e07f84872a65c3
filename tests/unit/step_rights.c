/* SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "lib/step_case.h"
#include "lib/test.h"
#include "step/kinds.h"
#include "step/rights.h"

/* What is asked for, in which namespace, and what is made of the answers. */

#define REVIEWS \
	"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?fieldManager=kubectl-renumber"
#define YES "{\"status\":{\"allowed\":true}}"
#define NO "{\"status\":{\"allowed\":false}}"
#define VERSION "{\"major\":\"1\",\"minor\":\"36\",\"gitVersion\":\"v1.36.3\"}"
#define FORBIDDEN "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"code\":403,\"message\":\"no\"}"
#define ASK(wants, answer)                                   \
	{                                                    \
		"POST", REVIEWS, wants, 201, NULL, answer, 0 \
	}
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* of every run; configmaps come last, and "update" of them is what a map's edit needs, too */
#define RUN(answer)                                                                 \
	ASK("\"verb\":\"create\"", YES), ASK("\"name\":\"kubectl-renumber\"", YES), \
		ASK("\"verb\":\"delete\"", YES), ASK("\"verb\":\"create\"", YES),   \
		ASK("\"verb\":\"update\"", YES), ASK("\"resource\":\"configmaps\"", answer)

/* A plan that edits a ConfigMap of namespace tigera-operator, and one in kube-system. */
static void check_rights(const struct fake_step *script, size_t count, const char *problem)
{
	struct plan plan = {.mode = PLAN_MIGRATE};
	struct step_case c;
	auto_error struct error err = {0};
	const struct plan_step *step =
		plan_add(&plan, PLAN_STAGE_PREFLIGHT, "rights", "cluster", json_object());
	int result;

	plan_add(&plan, PLAN_STAGE_NODES, "services-endpoint", "calico",
		 json_pack("{s:[{s:s}]}", "maps", "namespace", "tigera-operator"));
	plan_add(&plan, PLAN_STAGE_CONFIGURATION, "kubeadm-config", "cluster", json_object());
	step = plan_find(&plan, "s01");
	step_case_open(&c, script, count, &plan, NULL);
	result = step_rights.apply(&c.context, step, &err);
	CHECK_INT(result, problem ? -1 : 0);
	CHECK_STR(problem ? error_text(&err) : "", problem ? problem : "");
	CHECK_INT((int)err.kind, problem ? (int)ERROR_REFUSED : (int)ERROR_NONE);
	step_case_close(&c);
	plan_release(&plan);
}

#define REMEDY "; rbac-run.yaml grants them, or use a kubeconfig that has them"

int main(void)
{
	const struct fake_step version = {"GET", "/version", NULL, 200, NULL, VERSION, 0};
	const struct fake_step everywhere[] = {
		version, RUN(YES), ASK("\"name\":\"kubernetes-services-endpoint\"", YES)};
	const struct fake_step somewhere[] = {version, RUN(YES),
					      ASK("\"name\":\"kubernetes-services-endpoint\"", NO),
					      ASK("\"namespace\":\"tigera-operator\"", YES)};
	const struct fake_step nowhere[] = {version, RUN(NO),
					    ASK("\"name\":\"kubernetes-services-endpoint\"", NO),
					    ASK("\"namespace\":\"tigera-operator\"", NO)};
	const struct fake_step silent[] = {version,
					   {"POST", REVIEWS, NULL, 403, NULL, FORBIDDEN, 0}};

	clock_set_virtual(1000, 1764000000);
	TEST("who has a right everywhere is asked once");
	check_rights(everywhere, COUNT(everywhere), NULL);
	TEST("a right in the namespaces that the plan names is enough");
	check_rights(somewhere, COUNT(somewhere), NULL);
	TEST("what is missing is named, all of it");
	check_rights(nowhere, COUNT(nowhere),
		     "you lack rights that the plan needs: delete configmaps in namespace "
		     "'kube-system', update configmaps kubernetes-services-endpoint in namespace "
		     "'tigera-operator'" REMEDY);
	TEST("a server that does not say keeps nobody");
	check_rights(silent, COUNT(silent), NULL);
	return test_done();
}
