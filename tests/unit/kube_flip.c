/* SPDX-License-Identifier: MIT */
#include "kube/flip.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/test.h"
#include "text/json.h"

/*
 * Each row: a Service, the addresses that it shall get, and the patches of both legs and of the
 * status as compact JSON (NULL: none).
 */
#define RANGES "service.beta.kubernetes.io/load-balancer-source-ranges"

static const struct {
	const char *name;
	const char *service;
	const char *to;
	const char *leave;
	const char *back;
	const char *status;
} rows[] = {
	{"ClusterIP",
	 "{'metadata':{'name':'a'},'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9',"
	 "'clusterIPs':['10.96.0.9'],'ports':[{'port':80,'targetPort':'http'}],"
	 "'selector':{'app':'a'},'sessionAffinity':'None'}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'ports':[{'port':80,'targetPort':'http'}],'selector':{'app':'a'},"
	 "'sessionAffinity':'None','externalName':null}}",
	 NULL},
	{"NodePort",
	 "{'spec':{'type':'NodePort','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'externalTrafficPolicy':'Cluster','ports':[{'port':80,'nodePort':30080}]}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'NodePort','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'externalTrafficPolicy':'Cluster','ports':[{'port':80,'nodePort':30080}],"
	 "'externalName':null}}",
	 NULL},
	{"LoadBalancer with source ranges in spec and annotation, and a status",
	 "{'metadata':{'annotations':{'" RANGES "':'192.0.2.0/24','keep':'me'}},"
	 "'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'loadBalancerSourceRanges':['192.0.2.0/24'],'loadBalancerClass':'example.com/lb',"
	 "'allocateLoadBalancerNodePorts':false},"
	 "'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.4'}]}}}",
	 "['10.17.0.9']",
	 "{'spec':{'type':'ExternalName','externalName':'x.svc',"
	 "'loadBalancerSourceRanges':null},'metadata':{'annotations':{'" RANGES "':null}}}",
	 "{'spec':{'type':'LoadBalancer','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'loadBalancerSourceRanges':['192.0.2.0/24'],'loadBalancerClass':'example.com/lb',"
	 "'allocateLoadBalancerNodePorts':false,'externalName':null},"
	 "'metadata':{'annotations':{'" RANGES "':'192.0.2.0/24'}}}",
	 "{'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.4'}]}}}"},
	{"LoadBalancer without an address yet",
	 "{'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9']},"
	 "'status':{'loadBalancer':{}}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'LoadBalancer','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'externalName':null}}",
	 NULL},
	{"dual stack",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9',"
	 "'clusterIPs':['10.96.0.9','fd00:10::9'],'ipFamilies':['IPv4','IPv6'],"
	 "'ipFamilyPolicy':'RequireDualStack'}}",
	 "['10.17.0.9','fd00:10::9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.17.0.9',"
	 "'clusterIPs':['10.17.0.9','fd00:10::9'],'ipFamilies':['IPv4','IPv6'],"
	 "'ipFamilyPolicy':'RequireDualStack','externalName':null}}",
	 NULL},
	{"session affinity",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}}}"
	 "}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'sessionAffinity':'ClientIP','sessionAffinityConfig':{'clientIP':{'timeoutSeconds':60}},"
	 "'externalName':null}}",
	 NULL},
	{"external traffic policy Local with its health check port",
	 "{'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'externalTrafficPolicy':'Local','internalTrafficPolicy':'Local',"
	 "'healthCheckNodePort':32100}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'LoadBalancer','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'externalTrafficPolicy':'Local','internalTrafficPolicy':'Local',"
	 "'healthCheckNodePort':32100,'externalName':null}}",
	 NULL},
	{"zero and false are said again",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'publishNotReadyAddresses':false,'ports':[{'port':80,'targetPort':0}],'unknown':0}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'publishNotReadyAddresses':false,'ports':[{'port':80,'targetPort':0}],'unknown':0,"
	 "'externalName':null}}",
	 NULL},
	{"NodePort as 1.20 has it, two ports of one number",
	 "{'spec':{'clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],'ipFamilies':['IPv4'],"
	 "'ipFamilyPolicy':'SingleStack','externalTrafficPolicy':'Cluster','sessionAffinity':'None'"
	 ","
	 "'selector':{'app':'a'},'type':'NodePort','ports':["
	 "{'name':'u','port':53,'protocol':'UDP','targetPort':53,'nodePort':30053},"
	 "{'name':'t','port':53,'protocol':'TCP','targetPort':53,'nodePort':30054}]},"
	 "'status':{'loadBalancer':{}}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],'ipFamilies':['IPv4'],"
	 "'ipFamilyPolicy':'SingleStack','externalTrafficPolicy':'Cluster','sessionAffinity':'None'"
	 ","
	 "'selector':{'app':'a'},'type':'NodePort','ports':["
	 "{'name':'u','port':53,'protocol':'UDP','targetPort':53,'nodePort':30053},"
	 "{'name':'t','port':53,'protocol':'TCP','targetPort':53,'nodePort':30054}],"
	 "'externalName':null}}",
	 NULL},
	{"LoadBalancer as 1.36 has it, Local, of a class that nobody serves",
	 "{'spec':{'allocateLoadBalancerNodePorts':true,'clusterIP':'10.96.0.9',"
	 "'clusterIPs':['10.96.0.9'],'externalTrafficPolicy':'Local','healthCheckNodePort':31999,"
	 "'internalTrafficPolicy':'Cluster','ipFamilies':['IPv4'],'ipFamilyPolicy':'SingleStack',"
	 "'loadBalancerClass':'example.com/none','ports':[{'nodePort':30090,'port':90,"
	 "'protocol':'TCP','targetPort':'http'}],'publishNotReadyAddresses':true,"
	 "'sessionAffinity':'None','trafficDistribution':'PreferSameZone','type':'LoadBalancer'},"
	 "'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.4','ipMode':'VIP'}]}}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'allocateLoadBalancerNodePorts':true,'clusterIP':'10.17.0.9',"
	 "'clusterIPs':['10.17.0.9'],'externalTrafficPolicy':'Local','healthCheckNodePort':31999,"
	 "'internalTrafficPolicy':'Cluster','ipFamilies':['IPv4'],'ipFamilyPolicy':'SingleStack',"
	 "'loadBalancerClass':'example.com/none','ports':[{'nodePort':30090,'port':90,"
	 "'protocol':'TCP','targetPort':'http'}],'publishNotReadyAddresses':true,"
	 "'sessionAffinity':'None','trafficDistribution':'PreferSameZone','type':'LoadBalancer',"
	 "'externalName':null}}",
	 "{'status':{'loadBalancer':{'ingress':[{'ip':'198.51.100.4','ipMode':'VIP'}]}}}"},
	{"external addresses stay",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.96.0.9','clusterIPs':['10.96.0.9'],"
	 "'externalIPs':['203.0.113.7']}}",
	 "['10.17.0.9']", "{'spec':{'type':'ExternalName','externalName':'x.svc'}}",
	 "{'spec':{'type':'ClusterIP','clusterIP':'10.17.0.9','clusterIPs':['10.17.0.9'],"
	 "'externalIPs':['203.0.113.7'],'externalName':null}}",
	 NULL},
};

/* Rows are written with ' for ". */
static json_t *row_json(const char *text)
{
	auto_free char *copy = alloc_text(text);
	auto_error struct error err = {0};
	json_t *value;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	value = json_parse(slice_of(copy), "row", &err);
	if (!value)
		CHECK_STR(error_text(&err), "");
	return value;
}

static void check_patch(json_t *got, const char *want)
{
	auto_json json_t *wanted = want ? row_json(want) : NULL;
	auto_free char *got_text = got ? json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	auto_free char *want_text =
		wanted ? json_dumps(wanted, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	CHECK_STR(got_text, want_text);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_json json_t *service = row_json(rows[i].service);
		auto_json json_t *before = json_deep_copy(service);
		auto_json json_t *to = row_json(rows[i].to);
		auto_json json_t *leave = kube_flip_leave(service, "x.svc");
		auto_json json_t *back = kube_flip_return(service, to);
		auto_json json_t *status = kube_flip_status(service);

		TEST("%s", rows[i].name);
		check_patch(leave, rows[i].leave);
		check_patch(back, rows[i].back);
		check_patch(status, rows[i].status);
		CHECK(json_equal(service, before));
	}
	return test_done();
}
