/* SPDX-License-Identifier: MIT */
#include "plan/undo.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "lib/test.h"

/* A migration's plan as "kind stage" rows; ids are s01, s02, …. */
struct row {
	enum plan_stage stage;
	const char *kind;
};

static const struct row servicecidr[] = {
	{PLAN_STAGE_PREFLIGHT, "snapshot"},
	{PLAN_STAGE_CERTIFICATES, "certificate"},
	{PLAN_STAGE_CERTIFICATES, "certificate"},
	{PLAN_STAGE_CERTIFICATES, "certificate-served"},
	{PLAN_STAGE_CONFIGURATION, "kubeadm-config"},
	{PLAN_STAGE_RANGES, "service-cidr"},
	{PLAN_STAGE_SERVICES, "alias"},
	{PLAN_STAGE_SERVICES, "proxies"},
	{PLAN_STAGE_SERVICES, "flip"},
	{PLAN_STAGE_SERVICES, "alias-trim"},
	{PLAN_STAGE_DEFAULTS, "roll"},
	{PLAN_STAGE_DEFAULTS, "roll"},
	{PLAN_STAGE_DEFAULTS, "kubeadm-config"},
	{PLAN_STAGE_DEFAULTS, "service-cidr-default"},
	{PLAN_STAGE_DEFAULTS, "service-cidr-delete"},
	{PLAN_STAGE_NODES, "kubelet-dns"},
	{PLAN_STAGE_WORKLOADS, "restart"},
	{PLAN_STAGE_WORKLOADS, "restart"},
	{PLAN_STAGE_WORKLOADS, "restart-rest"},
	{PLAN_STAGE_DRAIN, "drain"},
	{PLAN_STAGE_FINALIZE, "alias-delete"},
	{0},
};

static const struct row bitmap[] = {
	{PLAN_STAGE_RANGES, "freeze"},	       {PLAN_STAGE_RANGES, "roll"},
	{PLAN_STAGE_RANGES, "roll"},	       {PLAN_STAGE_RANGES, "allocation"},
	{PLAN_STAGE_RANGES, "thaw"},	       {PLAN_STAGE_SERVICES, "alias"},
	{PLAN_STAGE_SERVICES, "flip"},	       {PLAN_STAGE_NODES, "kubelet-dns"},
	{PLAN_STAGE_FINALIZE, "alias-delete"}, {0},
};

static const struct row dual_write[] = {
	{PLAN_STAGE_RANGES, "service-cidr"},
	{PLAN_STAGE_RANGES, "roll"},
	{PLAN_STAGE_RANGES, "roll"},
	{PLAN_STAGE_SERVICES, "aliases"},
	{PLAN_STAGE_SERVICES, "flip-group"},
	{PLAN_STAGE_DEFAULTS, "service-cidr-default"},
	{PLAN_STAGE_DEFAULTS, "service-cidr-delete"},
	{PLAN_STAGE_NODES, "kubelet-dns"},
	{0},
};

static const struct row local_dns[] = {
	{PLAN_STAGE_SERVICES, "flip"},
	{PLAN_STAGE_NODES, "local-dns"},
	{PLAN_STAGE_NODES, "kubelet-dns"},
	{PLAN_STAGE_WORKLOADS, "restart"},
	{PLAN_STAGE_DRAIN, "drain"},
	{PLAN_STAGE_FINALIZE, "local-dns-end"},
	{0},
};

static const struct row repair[] = {
	{PLAN_STAGE_TOURNIQUET, "alias"},
	{PLAN_STAGE_CERTIFICATES, "certificate"},
	{PLAN_STAGE_SERVICES, "alias"},
	{PLAN_STAGE_SERVICES, "flip"},
	{PLAN_STAGE_DEFAULTS, "service-cidr-default"},
	{0},
};

static const struct row swept[] = {
	{PLAN_STAGE_SERVICES, "aliases"},     {PLAN_STAGE_SERVICES, "flip-group"},
	{PLAN_STAGE_SERVICES, "alias-trims"}, {PLAN_STAGE_SERVICES, "sweep"},
	{PLAN_STAGE_NODES, "kubelet-dns"},    {PLAN_STAGE_DRAIN, "sweep"},
	{PLAN_STAGE_DRAIN, "drain"},	      {0},
};

static struct plan make(const struct row *rows, const char *regime)
{
	struct plan plan = {.regime = alloc_text(regime),
			    .to = alloc_text("10.17.0.0/16"),
			    .from = json_pack("[s]", "10.96.0.0/16")};

	for (; rows->kind; rows++)
		plan_add(&plan, rows->stage, rows->kind, "x", NULL);
	return plan;
}

static const struct row held[] = {
	{PLAN_STAGE_RANGES, "hold"},
	{PLAN_STAGE_SERVICES, "flip-group"},
	{0},
};

/* "s03 s02 (s01) u-restart": what is only recorded stands in parentheses. */
static void check_order(const struct row *rows, const char *regime, enum plan_stage from,
			const bool *touched, const char *want)
{
	auto_plan struct plan plan = make(rows, regime);
	auto_plan_undo_order struct plan_undo_order order = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer got = {0};

	if (!CHECK_OK(plan_undo_order(&plan, from, touched, &order, &err), &err))
		return;
	for (size_t i = 0; i < order.count; i++) {
		bool quiet = order.items[i].action == PLAN_UNDO_NOTHING;

		buffer_format(&got, "%s%s%s%s", i ? " " : "", quiet ? "(" : "",
			      order.items[i].step->id, quiet ? ")" : "");
	}
	CHECK_STR(buffer_cstr(&got), want);
}

static void check_refused(const struct row *rows, const char *regime, enum plan_stage from,
			  const bool *touched, const char *want)
{
	auto_plan struct plan plan = make(rows, regime);
	auto_plan_undo_order struct plan_undo_order order = {0};
	auto_error struct error err = {0};

	CHECK_ERROR(plan_undo_order(&plan, from, touched, &order, &err), &err, ERROR_REFUSED, want);
}

/* Somebody else changed the range of the servers; this run only ended their dual writing. */
static void test_other_flags(void)
{
	auto_plan struct plan plan = make(repair, "dual-write");
	auto_plan_undo_order struct plan_undo_order order = {0};
	auto_error struct error err = {0};

	plan_add(&plan, PLAN_STAGE_RANGES, "manifest-flags", "x",
		 json_pack("{s:[{s:s, s:s}]}", "flags", "name", "feature-gates", "value",
			   "DisableAllocatorDualWrite=true"));
	TEST("a roll that leaves the range as it was does not bring it back");
	CHECK_ERROR(plan_undo_order(&plan, PLAN_STAGE_TOURNIQUET, NULL, &order, &err), &err,
		    ERROR_REFUSED, "it was not this run that changed their flags");
}

/* More steps that only the way back has than a plan holds without growing. */
static void test_many_extras(void)
{
	auto_plan struct plan plan = make(dual_write, "dual-write");
	auto_plan_undo_order struct plan_undo_order order = {0};
	auto_error struct error err = {0};
	size_t extras = 0;

	for (int i = 0; i < 40; i++)
		plan_add(&plan, PLAN_STAGE_DEFAULTS, "service-cidr-default", "x", NULL);
	CHECK_OK(plan_undo_order(&plan, PLAN_STAGE_TOURNIQUET, NULL, &order, &err), &err);
	for (size_t i = 0; i < order.count; i++) {
		if (order.items[i].action != PLAN_UNDO_EXTRA)
			continue;
		CHECK(order.items[i].step == &order.extra.steps[extras]);
		extras++;
	}
	CHECK_INT(extras, 42);
}

/* It listens at both addresses, so that it may go back when the Services have; it asks whom its
 * environment names. */
static void test_local_dns(void)
{
	TEST("node-local DNS goes back behind the Services, before what asks it is restarted");
	check_order(local_dns, "servicecidr", PLAN_STAGE_SERVICES, NULL,
		    "s05 s03 s01 s02 s04 u-restart");
	TEST("and alone when those stay");
	check_order(local_dns, "servicecidr", PLAN_STAGE_NODES, NULL, "s05 s03 s02 (s04)");
}

int main(void)
{
	test_local_dns();
	bool begun[32] = {true, true, true, true};
	bool to_services[32] = {0};
	bool before_defaults[32] = {true, true, true, true, true};

	for (size_t i = 0; i < 10; i++)
		to_services[i] = true;
	TEST("servicecidr, all the way: servers before Services, aliases behind the restarts");
	check_order(servicecidr, "servicecidr", PLAN_STAGE_TOURNIQUET, NULL,
		    "s20 s16 s13 s12 s11 s15 s14 s10 s09 s08 s17 s18 (s19) u-restart s07 s06 s05 "
		    "s03 s02 s04 s01");

	TEST("back to services: nothing is restarted, for no Service goes back");
	check_order(servicecidr, "servicecidr", PLAN_STAGE_SERVICES + 1, NULL,
		    "s20 s16 s13 s12 s11 s15 s14 (s17) (s18) (s19)");

	TEST("back to ranges");
	check_order(servicecidr, "servicecidr", PLAN_STAGE_RANGES + 1, NULL,
		    "s20 s16 s13 s12 s11 s15 s14 s10 s09 s08 s17 s18 (s19) u-restart s07");

	TEST("a sweep's Services go back with the others, its aliases with the aliases");
	check_order(swept, "servicecidr", PLAN_STAGE_TOURNIQUET, NULL,
		    "s07 s05 s06 s04 s03 s02 u-restart s01 u-sweep");

	TEST("what was not begun is not undone, nor is anything restarted for it");
	check_order(servicecidr, "servicecidr", PLAN_STAGE_TOURNIQUET, begun, "s03 s02 s04 s01");

	TEST("Services moved, nothing restarted yet: what was started meanwhile is looked for");
	check_order(servicecidr, "servicecidr", PLAN_STAGE_TOURNIQUET, to_services,
		    "s10 s09 s08 u-restart s07 s06 s05 s03 s02 s04 s01");

	TEST("bitmap: flags first, then the flips, whichever stage they were in");
	check_order(bitmap, "bitmap", PLAN_STAGE_TOURNIQUET, NULL,
		    "s08 s05 s04 s03 s02 s01 s07 u-restart s06");

	TEST("dual writing: the old bitmap keeps what was let go, so Services go first, covered");
	check_order(dual_write, "dual-write", PLAN_STAGE_TOURNIQUET, NULL,
		    "u-cover s08 s05 s03 s02 s07 s06 u-restart s04 s01");

	TEST("dual writing: without the default ServiceCIDR replaced the old one covers them");
	check_order(dual_write, "dual-write", PLAN_STAGE_TOURNIQUET, before_defaults,
		    "s05 s03 s02 u-restart s04 s01");

	TEST("bitmap: Services alone cannot go back");
	check_refused(bitmap, "bitmap", PLAN_STAGE_SERVICES, NULL,
		      "Services cannot go back to the old range while API servers give out the new "
		      "range only; go back to 'configuration' or further with --to");

	TEST("bitmap: later stages can");
	check_order(bitmap, "bitmap", PLAN_STAGE_DEFAULTS, NULL, "s08");

	TEST("servicecidr: Services alone can, they need no flags");
	check_order(bitmap, "servicecidr", PLAN_STAGE_SERVICES, NULL, "s08 s07 u-restart s06");

	TEST("the default ServiceCIDR follows flags that this run did not change");
	check_refused(repair, "servicecidr", PLAN_STAGE_TOURNIQUET, NULL,
		      "it was not this run that changed their flags");

	TEST("the tourniquet is loosened last");
	begun[2] = true;
	begun[4] = false;
	check_order(repair, "servicecidr", PLAN_STAGE_TOURNIQUET, begun,
		    "s04 u-restart s03 s02 s01");

	test_other_flags();

	TEST("what flips released is held again when the run may go on behind the holds");
	check_order(held, "servicecidr", PLAN_STAGE_RANGES + 1, NULL, "s02 u-hold u-restart");
	TEST("the holds themselves go");
	check_order(held, "servicecidr", PLAN_STAGE_RANGES, NULL, "s01 s02 u-restart");
	TEST("nothing was released, so nothing is held again");
	check_order(held, "servicecidr", PLAN_STAGE_RANGES + 1, (bool[]){true, false}, "");

	TEST("what only the way back has stays where the order points to");
	test_many_extras();
	return test_done();
}
