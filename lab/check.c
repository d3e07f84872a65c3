/* SPDX-License-Identifier: MIT */
#include "lab/check.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/slice.h"
#include "net/cidr.h"
#include "text/json.h"

#define CHECK_ADDRESS "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"

char *check_kind(const struct store_type *type)
{
	return *type->group ? alloc_format("%s.%s", type->kind, type->group)
			    : alloc_text(type->kind);
}

static bool check_is(const struct store_type *type, const char *plural)
{
	return strcmp(type->plural, plural) == 0;
}

static const char *check_name_of(const json_t *object)
{
	const char *name = json_path_text(object, "metadata.name");

	return name ? name : "";
}

/* --- names ------------------------------------------------------------------------------------ */

static bool check_is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower case letters, digits and dashes, `dots` also; it begins and ends with none of the two. */
static bool check_is_label(const char *name, bool dots)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i + 1 == len || name[i - 1] == '.' || name[i + 1] == '.';

		if (!check_is_word(name[i]) && !(name[i] == '-' && !edge) &&
		    !(name[i] == '.' && dots && !edge))
			return false;
	}
	return len > 0;
}

static int check_service_name(const struct lab *lab, const char *name, struct answer *answer)
{
	if (strlen(name) > 63)
		answer_invalid(answer, "Service", name, "FieldValueInvalid", "metadata.name",
			       "Invalid value: \"%s\": must be no more than 63 characters", name);
	/* since 1.35 it may begin with a digit */
	if (!check_is_label(name, false) ||
	    (!lab_since(lab, 35) && name[0] >= '0' && name[0] <= '9'))
		answer_invalid(answer, "Service", name, "FieldValueInvalid", "metadata.name",
			       "Invalid value: \"%s\": a DNS-1035 label must consist of lower case "
			       "alphanumeric characters or '-', start with an alphabetic "
			       "character, and end with an alphanumeric character (e.g. "
			       "'my-name',  or 'abc-123', regex used for validation is "
			       "'[a-z]([-a-z0-9]*[a-z0-9])?')",
			       name);
	return answer->code ? -1 : 0;
}

int check_name(const struct lab *lab, const struct store_type *type, const char *name,
	       struct answer *answer)
{
	auto_free char *kind = check_kind(type);

	if (check_is(type, "services"))
		return check_service_name(lab, name, answer);
	/* roles have names with colons */
	if (strncmp(type->group, "rbac.", 5) == 0 || check_is_label(name, true))
		return 0;
	return answer_invalid(answer, kind, name, "FieldValueInvalid", "metadata.name",
			      "Invalid value: \"%s\": a lowercase RFC 1123 subdomain must consist "
			      "of lower case alphanumeric characters, '-' or '.', and must start "
			      "and end with an alphanumeric character (e.g. 'example.com', regex "
			      "used for validation is "
			      "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
			      name);
}

/* --- ServiceCIDRs ----------------------------------------------------------------------------- */

static int check_range(const struct lab *lab, const char *name, size_t i, const char *text,
		       struct answer *answer)
{
	auto_error struct error err = {0};
	auto_free char *field = alloc_format("spec.cidrs[%zu]", i);
	struct net_cidr range;
	struct net_address first;
	const char *slash = strchr(text, '/');
	auto_free char *address = alloc_text_n(text, slash ? (size_t)(slash - text) : 0);
	bool recent = lab_since(lab, 33);

	if (net_cidr_parse_sloppy(slice_of(text), &range, &err) < 0) {
		if (recent || slash)
			return answer_invalid(answer, "ServiceCIDR.networking.k8s.io", name,
					      "FieldValueInvalid", field,
					      "Invalid value: \"%s\": must be a valid CIDR value, "
					      "(e.g. 10.9.8.0/24 or 2001:db8::/64)",
					      text);
		return answer_invalid(
			answer, "ServiceCIDR.networking.k8s.io", name, "FieldValueInvalid", field,
			"Invalid value: \"%s\": netip.ParsePrefix(\"%s\"): no '/'", text, text);
	}
	if (net_address_read(slice_of(address), &first) && !net_address_equal(first, range.base))
		return answer_invalid(answer, "ServiceCIDR.networking.k8s.io", name,
				      "FieldValueInvalid", field, "Invalid value: \"%s\": %s", text,
				      recent ? "must not have bits set beyond the prefix length"
					     : "wrong CIDR format, IP doesn't match network IP "
					       "address");
	return 0;
}

/* The lab knows one family. */
static int check_ranges(const struct lab *lab, const json_t *object, struct answer *answer)
{
	const char *name = check_name_of(object);
	const json_t *ranges = json_path(object, "spec.cidrs");
	const json_t *range;
	size_t i;

	if (!json_array_size(ranges))
		return answer_invalid(answer, "ServiceCIDR.networking.k8s.io", name,
				      "FieldValueRequired", "spec.cidrs",
				      "Required value: at least one CIDR required");
	if (json_array_size(ranges) > 1) {
		const char *one = json_string_value(json_array_get(ranges, 0));
		const char *two = json_string_value(json_array_get(ranges, 1));
		auto_free char *both =
			lab_since(lab, 33)
				? alloc_format("[\"%s\",\"%s\"]", one, two)
				: alloc_format("networking.ServiceCIDRSpec{CIDRs:[]string{\"%s\", "
					       "\"%s\"}}",
					       one, two);

		return answer_invalid(answer, "ServiceCIDR.networking.k8s.io", name,
				      "FieldValueInvalid", "spec.cidrs",
				      "Invalid value: %s: may specify no more than one IP for "
				      "each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
				      both);
	}
	json_array_foreach(ranges, i, range)
		if (check_range(lab, name, i, json_string_value(range), answer) < 0)
			return -1;
	return 0;
}

static int check_service_cidr(const struct lab *lab, const json_t *old, const json_t *object,
			      struct answer *answer)
{
	const char *now = json_path_text(object, "spec.cidrs.0");

	if (!old)
		return check_ranges(lab, object, answer);
	if (json_equal(json_path(old, "spec.cidrs"), json_path(object, "spec.cidrs")))
		return 0;
	if (lab_since(lab, 33))
		return answer_invalid(answer, "ServiceCIDR.networking.k8s.io",
				      check_name_of(object), "FieldValueInvalid", "spec.cidrs[0]",
				      "Invalid value: \"%s\": field is immutable", now ? now : "");
	return answer_invalid(answer, "ServiceCIDR.networking.k8s.io", check_name_of(object),
			      "FieldValueInvalid", "spec.cidrs",
			      "Invalid value: []string{\"%s\"}: field is immutable",
			      now ? now : "");
}

/* --- EndpointSlices and Endpoints ------------------------------------------------------------- */

/* What says nothing is left out, as Go does. */
static void check_drop_empty(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
		json_object_del(object, name);
}

static int check_slice_ports(json_t *slice, struct answer *answer)
{
	auto_json json_t *names = json_object();
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(slice, "ports"), i, port) {
		const char *name = json_path_text(port, "name");
		auto_free char *field = alloc_format("ports[%zu].name", i);

		if (!json_object_get(port, "protocol"))
			json_object_set_new(port, "protocol", json_string("TCP"));
		if (!name)
			json_object_set_new(port, "name", json_string(""));
		if (json_object_get(names, name ? name : ""))
			return answer_invalid(answer, "EndpointSlice.discovery.k8s.io",
					      check_name_of(slice), "FieldValueDuplicate", field,
					      "Duplicate value: \"%s\"", name ? name : "");
		json_object_set_new(names, name ? name : "", json_true());
	}
	return 0;
}

static int check_slice_addresses(const struct lab *lab, const json_t *slice, struct answer *answer)
{
	bool six = json_path_is(slice, "addressType", "IPv6");
	const json_t *endpoint;
	const json_t *item;
	size_t i;
	size_t k;

	json_array_foreach(json_object_get(slice, "endpoints"), i, endpoint) {
		json_array_foreach(json_object_get(endpoint, "addresses"), k, item) {
			const char *text = json_string_value(item);
			bool recent = lab_since(lab, 33);
			auto_free char *field =
				recent ? alloc_format("endpoints[%zu].addresses", i)
				       : alloc_format("endpoints[%zu].addresses[%zu]", i, k);

			if (!text || (strchr(text, ':') != NULL) == six)
				continue;
			answer_invalid(answer, "EndpointSlice.discovery.k8s.io",
				       check_name_of(slice), "FieldValueInvalid", field,
				       "Invalid value: \"%s\": must be %s %s address", text,
				       recent ? "an" : "a valid", six ? "IPv6" : "IPv4");
		}
	}
	return answer->code ? -1 : 0;
}

static int check_slice(const struct lab *lab, const json_t *old, json_t *slice,
		       struct answer *answer)
{
	const char *family = json_path_text(slice, "addressType");

	if (!family)
		return answer_invalid(answer, "EndpointSlice.discovery.k8s.io",
				      check_name_of(slice), "FieldValueRequired", "addressType",
				      "Required value");
	if (old && !json_path_is(old, "addressType", family))
		return answer_invalid(answer, "EndpointSlice.discovery.k8s.io",
				      check_name_of(slice), "FieldValueInvalid", "addressType",
				      "Invalid value: \"%s\": field is immutable", family);
	if (!json_is_array(json_object_get(slice, "endpoints")) ||
	    json_array_size(json_object_get(slice, "endpoints")) == 0)
		json_object_set_new(slice, "endpoints", json_null());
	if (!json_is_array(json_object_get(slice, "ports")))
		json_object_set_new(slice, "ports", json_null());
	if (check_slice_addresses(lab, slice, answer) < 0)
		return -1;
	return check_slice_ports(slice, answer);
}

static int check_endpoints(json_t *endpoints, struct answer *answer)
{
	json_t *subset;
	json_t *item;
	size_t i;
	size_t k;

	check_drop_empty(endpoints, "subsets");
	json_array_foreach(json_object_get(endpoints, "subsets"), i, subset) {
		json_array_foreach(json_object_get(subset, "ports"), k, item)
			if (!json_object_get(item, "protocol"))
				json_object_set_new(item, "protocol", json_string("TCP"));
		json_array_foreach(json_object_get(subset, "addresses"), k, item) {
			auto_free char *field =
				alloc_format("subsets[%zu].addresses[%zu].ip", i, k);
			const char *text = json_path_text(item, "ip");
			struct net_address address;

			if (text && net_address_read(slice_of(text), &address))
				continue;
			answer_invalid(answer, "Endpoints", check_name_of(endpoints),
				       "FieldValueInvalid", field, "Invalid value: \"%s\": %s",
				       text ? text : "", CHECK_ADDRESS);
			answer_invalid(answer, "Endpoints", check_name_of(endpoints),
				       "FieldValueInvalid", field,
				       "Invalid value: \"%s\": must be a valid IP address",
				       text ? text : "");
		}
	}
	return answer->code ? -1 : 0;
}

/* --- others ----------------------------------------------------------------------------------- */

static int check_lease(json_t *lease, struct answer *answer)
{
	json_t *spec = json_object_get(lease, "spec");
	int64_t seconds = json_path_int(spec, "leaseDurationSeconds", 1);

	if (seconds > 0)
		return 0;
	return answer_invalid(answer, "Lease.coordination.k8s.io", check_name_of(lease),
			      "FieldValueInvalid", "spec.leaseDurationSeconds",
			      "Invalid value: %lld: must be greater than 0", (long long)seconds);
}

static void check_namespace(const struct lab *lab, json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata");
	json_t *labels = json_object_get(metadata, "labels");

	json_object_set_new(object, "spec", json_pack("{s:[s]}", "finalizers", "kubernetes"));
	json_object_set_new(object, "status", json_pack("{s:s}", "phase", "Active"));
	if (!lab_since(lab, 21))
		return;
	if (!labels)
		json_object_set_new(metadata, "labels", labels = json_object());
	json_object_set(labels, "kubernetes.io/metadata.name", json_object_get(metadata, "name"));
}

static void check_ip_address(json_t *object)
{
	json_t *parent = json_path(object, "spec.parentRef");

	if (json_path_is(parent, "group", ""))
		json_object_del(parent, "group");
}

int check_object(const struct lab *lab, const struct store_type *type, const json_t *old,
		 json_t *object, struct answer *answer)
{
	if (check_is(type, "servicecidrs"))
		return check_service_cidr(lab, old, object, answer);
	if (check_is(type, "endpointslices"))
		return check_slice(lab, old, object, answer);
	if (check_is(type, "endpoints"))
		return check_endpoints(object, answer);
	if (check_is(type, "leases"))
		return check_lease(object, answer);
	if (check_is(type, "namespaces") && !old)
		check_namespace(lab, object);
	if (check_is(type, "ipaddresses"))
		check_ip_address(object);
	return 0;
}
