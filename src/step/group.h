/* SPDX-License-Identifier: MIT */
#ifndef STEP_GROUP_H
#define STEP_GROUP_H

#include "kube/multiplex.h"
#include "step/step.h"

/*
 * A step about many Services: its parameter "services" is an array, each element what the step
 * kind for one of them has as parameters. Requests go to all of them at the same time; what is
 * refused or lost there is left to the functions for one, which have the patience.
 */
struct step_group {
	const struct plan_step *step; /* borrowed */
	struct plan_step *items;      /* owned; parameters are borrowed from `step` */
	size_t count;
	struct kube_multiplex *many; /* owned */
};

/* ERROR_PARSE when an element is no such thing. services: instead of the step's parameter of that
 * name, or NULL; it must outlive the group. */
must_check int step_group_open(struct step_context *context, const struct plan_step *step,
			       const json_t *services, struct step_group *group, struct error *err);
void step_group_release(struct step_group *group);
#define auto_step_group __attribute__((cleanup(step_group_release)))

/* One request for each item; what came of it stands beside the item's number. */
struct step_group_call {
	enum kube_method method; /* GET, POST, a patch, or DELETE */
	const char *group;	 /* of the API; NULL: core */
	const char *version;
	const char *plural;
	const char *member; /* the parameter with the object's name; NULL with POST */
	const char *subresource;
	bool dry_run;
	json_t **
		bodies; /* the caller's; NULL: GET for all. An item whose body is NULL is left out */
	const bool *some;     /* borrowed; which items; NULL: all */
	json_t **objects;     /* out: the answer, a new reference, or NULL */
	struct error *errors; /* out; kind ERROR_NONE where it went well or was left out */
};

/* An empty call for Services of this group; release frees what came back, and the bodies. */
void step_group_call_init(const struct step_group *group, struct step_group_call *call,
			  enum kube_method method, const char *member);
void step_group_call_release(const struct step_group *group, struct step_group_call *call);

/* Fails only when nothing could be sent, or the user asks to stop. */
must_check int step_group_send(struct step_group *group, struct step_group_call *call,
			       struct error *err);

/* GET of each item's Service `member` ("name", "of"): objects[i] is a new reference, NULL where
 * there is none. Those that failed are asked for again, one by one, with patience. */
must_check int step_group_get(struct step_context *context, struct step_group *group,
			      const char *member, json_t **objects, struct error *err);
/* The same for some of them; the others' objects stay as they are. */
must_check int step_group_get_some(struct step_context *context, struct step_group *group,
				   const char *member, const bool *some, json_t **objects,
				   struct error *err);

/* `count` zeroed pointers; the caller releases them by step_objects_release. */
json_t **step_objects_new(size_t count);
void step_objects_release(json_t **objects, size_t count);

#endif
