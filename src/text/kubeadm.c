/* SPDX-License-Identifier: MIT */
#include "text/kubeadm.h"

#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "net/address.h"
#include "text/yaml_put.h"

/* Names and structure: k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/v1beta{1,2,3,4}/types.go. */

#define KIND "ClusterConfiguration"
#define RANGE_FLAG "service-cluster-ip-range"
/* apis/kubeadm/v1beta*, DefaultServicesSubnet */
#define DEFAULT_RANGE "10.96.0.0/12"

static const char *const component_keys[] = {
	[KUBEADM_API_SERVER] = "apiServer",
	[KUBEADM_CONTROLLER_MANAGER] = "controllerManager",
};

/* ---- reading ---- */

static void release_args(struct kubeadm_args *args)
{
	for (size_t i = 0; i < args->count; i++) {
		free(args->items[i].name);
		free(args->items[i].value);
	}
	free(args->items);
}

void kubeadm_config_release(struct kubeadm_config *config)
{
	free(config->api_version);
	free(config->kubernetes_version);
	free(config->cluster_name);
	free(config->control_plane_endpoint);
	free(config->certificates_dir);
	free(config->service_subnet);
	free(config->pod_subnet);
	free(config->dns_domain);
	free(config->encryption_algorithm);
	for (size_t i = 0; i < config->cert_san_count; i++)
		free(config->cert_sans[i]);
	free(config->cert_sans);
	release_args(&config->api_server);
	release_args(&config->controller_manager);
	*config = (struct kubeadm_config){0};
}

/* An empty text counts as not written, as in kubeadm. */
static char *copy(const struct yaml_node *node)
{
	const char *text = yaml_string(node);

	return text && *text && !yaml_is_null(node) ? alloc_text(text) : NULL;
}

static void add_arg(struct kubeadm_args *args, const char *name, const char *value)
{
	if (!name)
		return;
	ALLOC_GROW(args->items, args->count, args->capacity);
	args->items[args->count++] =
		(struct kubeadm_arg){alloc_text(name), alloc_text(value ? value : "")};
}

static void read_args(struct kubeadm_args *args, const struct yaml_node *extra)
{
	if (!extra || (extra->kind != YAML_MAPPING && extra->kind != YAML_SEQUENCE))
		return;
	for (const struct yaml_node *n = extra->first; n; n = n->next) {
		if (extra->kind == YAML_MAPPING)
			add_arg(args, yaml_string(n->key), yaml_string(n));
		else
			add_arg(args, yaml_string(yaml_get(n, "name")),
				yaml_string(yaml_get(n, "value")));
	}
}

/* The document, when it is of a version that has the fields of v1beta1 and later. */
static const struct yaml_node *find_config(const struct yaml *y, struct error *err)
{
	const struct yaml_node *root = yaml_put_document(y, KIND), *node;
	const char *version;

	if (!root) {
		(void)error_set(err, ERROR_NOT_FOUND, "%s: no " KIND " in it", y->file);
		return NULL;
	}
	node = yaml_get(root, "apiVersion");
	version = yaml_string(node);
	if (!version || strncmp(version, "kubeadm.k8s.io/v1", 17) != 0 ||
	    strncmp(version, "kubeadm.k8s.io/v1alpha", 22) == 0) {
		(void)error_set(err, ERROR_PARSE, "%s:%u:%u: kubeadm API version '%s' is not known",
				y->file, node ? node->line : root->line,
				node ? node->column : root->column, version ? version : "");
		return NULL;
	}
	return root;
}

int kubeadm_config_read(struct kubeadm_config *ret, const char *file, struct slice text,
			struct error *err)
{
	auto_yaml struct yaml y = {0};
	struct kubeadm_config c = {0};
	const struct yaml_node *root, *sans;

	if (yaml_parse(&y, file, text, err) < 0)
		return -1;
	root = find_config(&y, err);
	if (!root)
		return -1;
	c.api_version = copy(yaml_get(root, "apiVersion"));
	c.kubernetes_version = copy(yaml_get(root, "kubernetesVersion"));
	c.cluster_name = copy(yaml_get(root, "clusterName"));
	c.control_plane_endpoint = copy(yaml_get(root, "controlPlaneEndpoint"));
	c.certificates_dir = copy(yaml_get(root, "certificatesDir"));
	c.encryption_algorithm = copy(yaml_get(root, "encryptionAlgorithm"));
	c.service_subnet = copy(yaml_path(root, "networking.serviceSubnet"));
	c.pod_subnet = copy(yaml_path(root, "networking.podSubnet"));
	c.dns_domain = copy(yaml_path(root, "networking.dnsDomain"));
	sans = yaml_path(root, "apiServer.certSANs");
	for (size_t i = 0; yaml_item(sans, i); i++) {
		char *san = copy(yaml_item(sans, i));

		if (!san)
			continue;
		ALLOC_GROW(c.cert_sans, c.cert_san_count, c.cert_san_capacity);
		c.cert_sans[c.cert_san_count++] = san;
	}
	read_args(&c.api_server, yaml_path(root, "apiServer.extraArgs"));
	read_args(&c.controller_manager, yaml_path(root, "controllerManager.extraArgs"));
	kubeadm_config_release(ret);
	*ret = c;
	return 0;
}

const char *kubeadm_args_get(const struct kubeadm_args *args, const char *name)
{
	for (size_t i = args->count; i > 0; i--)
		if (strcmp(args->items[i - 1].name, name) == 0)
			return args->items[i - 1].value;
	return NULL;
}

const char *kubeadm_config_service_range(const struct kubeadm_config *config)
{
	const char *flag = kubeadm_args_get(&config->api_server, RANGE_FLAG);

	if (flag)
		return flag;
	return config->service_subnet ? config->service_subnet : DEFAULT_RANGE;
}

/* ---- editing ---- */

static int open_config(struct yaml *y, const char *file, struct slice text, struct error *err)
{
	if (yaml_parse(y, file, text, err) < 0)
		return -1;
	return find_config(y, err) ? 0 : -1;
}

static int set_subnet(struct yaml *y, const char *subnet, struct error *err)
{
	static const char *const path[] = {"networking", "serviceSubnet"};
	struct yaml_value leaf = {.kind = YAML_SCALAR, .text = subnet};

	return yaml_put(y, KIND, path, 2, &leaf, err);
}

int kubeadm_set_service_subnet(const char *file, struct slice text, const char *subnet,
			       struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};

	if (open_config(&y, file, text, err) < 0 || set_subnet(&y, subnet, err) < 0)
		return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

static const struct yaml_node *cert_sans(const struct yaml *y)
{
	return yaml_path(yaml_put_document(y, KIND), "apiServer.certSANs");
}

/* Addresses are the same in whatever way they are written. */
static bool same_san(const char *a, const char *b)
{
	struct net_address left, right;

	if (net_address_read(slice_of(a), &left) && net_address_read(slice_of(b), &right))
		return net_address_equal(left, right);
	return strcasecmp(a, b) == 0;
}

static const struct yaml_node *find_san(const struct yaml *y, const char *san)
{
	const struct yaml_node *list = cert_sans(y);

	for (size_t i = 0; yaml_item(list, i); i++) {
		const char *item = yaml_string(yaml_item(list, i));

		if (item && same_san(item, san))
			return yaml_item(list, i);
	}
	return NULL;
}

int kubeadm_add_cert_sans(const char *file, struct slice text, const char *const sans[],
			  size_t count, struct buffer *ret, struct error *err)
{
	static const char *const path[] = {"apiServer", "certSANs"};
	auto_yaml struct yaml y = {0};

	if (open_config(&y, file, text, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct yaml_value item = {.kind = YAML_SCALAR, .text = sans[i]};
		struct yaml_value list = {.kind = YAML_SEQUENCE, .items = &item, .count = 1};
		int result;

		if (find_san(&y, sans[i]))
			continue;
		if (yaml_put_empty(cert_sans(&y)))
			result = yaml_put(&y, KIND, path, 2, &list, err);
		else
			result = yaml_add(&y, cert_sans(&y), &item, err);
		if (result < 0)
			return -1;
	}
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

int kubeadm_remove_cert_sans(const char *file, struct slice text, const char *const sans[],
			     size_t count, struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};

	if (open_config(&y, file, text, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *item;

		while ((item = find_san(&y, sans[i])))
			if (yaml_remove(&y, item, err) < 0)
				return -1;
	}
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

static const struct yaml_node *extra_args(const struct yaml *y, enum kubeadm_component component)
{
	const struct yaml_node *parent =
		yaml_get(yaml_put_document(y, KIND), component_keys[component]);

	return yaml_get(parent, "extraArgs");
}

/* The node of the argument (in a list: its {name, value}) whose value is not `value` yet; with
 * `value` NULL any. *ret_seen: there is one with that name. */
static const struct yaml_node *find_arg(const struct yaml_node *extra, const char *name,
					const char *value, bool *ret_seen)
{
	*ret_seen = false;
	if (!extra || (extra->kind != YAML_MAPPING && extra->kind != YAML_SEQUENCE))
		return NULL;
	for (const struct yaml_node *n = extra->first; n; n = n->next) {
		bool list = extra->kind == YAML_SEQUENCE;
		const char *found = yaml_string(list ? yaml_get(n, "name") : n->key);
		const char *old = yaml_string(list ? yaml_get(n, "value") : n);

		if (!found || strcmp(found, name) != 0)
			continue;
		*ret_seen = true;
		if (!value || !old || strcmp(old, value) != 0)
			return n;
	}
	return NULL;
}

static int add_new_arg(struct yaml *y, enum kubeadm_component component, const char *name,
		       const char *value, struct error *err)
{
	const char *const path[] = {component_keys[component], "extraArgs"};
	const char *version = yaml_string(yaml_get(yaml_put_document(y, KIND), "apiVersion"));
	const struct yaml_node *extra = extra_args(y, component);
	struct yaml_value pair[] = {{.kind = YAML_SCALAR, .key = "name", .text = name},
				    {.kind = YAML_SCALAR, .key = "value", .text = value}};
	struct yaml_value item = {.kind = YAML_MAPPING, .items = pair, .count = 2};
	struct yaml_value entry = {.kind = YAML_SCALAR, .key = name, .text = value};
	bool list = version && strcmp(version, "kubeadm.k8s.io/v1beta1") != 0 &&
		    strcmp(version, "kubeadm.k8s.io/v1beta2") != 0 &&
		    strcmp(version, "kubeadm.k8s.io/v1beta3") != 0;
	struct yaml_value whole = {.kind = list ? YAML_SEQUENCE : YAML_MAPPING,
				   .items = list ? &item : &entry,
				   .count = 1};

	if (yaml_put_empty(extra))
		return yaml_put(y, KIND, path, 2, &whole, err);
	return yaml_add(y, extra, extra->kind == YAML_SEQUENCE ? &item : &entry, err);
}

static int change_arg(struct yaml *y, const struct yaml_node *arg, const char *value,
		      struct error *err)
{
	const struct yaml_node *scalar =
		arg->parent->kind == YAML_SEQUENCE ? yaml_get(arg, "value") : arg;

	if (!value)
		return yaml_remove(y, arg, err);
	if (!scalar)
		return yaml_add(
			y, arg,
			&(struct yaml_value){.kind = YAML_SCALAR, .key = "value", .text = value},
			err);
	return yaml_set(y, scalar, value, err);
}

static int set_arg(struct yaml *y, enum kubeadm_component component, const char *name,
		   const char *value, bool only_existing, struct error *err)
{
	const struct yaml_node *arg;
	bool seen, changed = false;

	while ((arg = find_arg(extra_args(y, component), name, value, &seen))) {
		if (change_arg(y, arg, value, err) < 0)
			return -1;
		changed = true;
	}
	if (seen || changed || !value || only_existing)
		return 0;
	return add_new_arg(y, component, name, value, err);
}

int kubeadm_set_arg(const char *file, struct slice text, enum kubeadm_component component,
		    const char *name, const char *value, bool only_existing, struct buffer *ret,
		    struct error *err)
{
	auto_yaml struct yaml y = {0};

	if (open_config(&y, file, text, err) < 0 ||
	    set_arg(&y, component, name, value, only_existing, err) < 0)
		return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}

int kubeadm_set_service_range(const char *file, struct slice text, const char *range,
			      struct buffer *ret, struct error *err)
{
	auto_yaml struct yaml y = {0};

	if (open_config(&y, file, text, err) < 0 || set_subnet(&y, range, err) < 0 ||
	    set_arg(&y, KUBEADM_API_SERVER, RANGE_FLAG, range, true, err) < 0 ||
	    set_arg(&y, KUBEADM_CONTROLLER_MANAGER, RANGE_FLAG, range, true, err) < 0)
		return -1;
	buffer_slice(ret, yaml_text(&y));
	return 0;
}
