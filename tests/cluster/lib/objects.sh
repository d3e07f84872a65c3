# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# All that a user calls theirs, before and after: every field of meaning.

# objects_keep WHEN: Services in one file, the rest in another
objects_keep() {
	objects_services >"$RESULT/services-$1.json"
	objects_others >"$RESULT/others-$1.json"
}

# Services by name, without the address, and what changes with every write
objects_services() {
	kc get services -A -o json | jq -S '.items | map({ key: "\(.metadata.namespace)/\(.metadata.name)", value: (
		del(.metadata.resourceVersion, .metadata.generation, .metadata.managedFields)
		| if (.spec.clusterIP // "None") == "None" or .spec.clusterIP == "" then . else
			.spec.clusterIP = "an address" | .spec.clusterIPs |= (if . then map("an address") else . end) end) })
		| from_entries'
}

# Of ConfigMaps, workloads and the like what their owners wrote. A restart leaves
# an annotation of the Pod template, as kubectl's does.
objects_others() {
	kc get configmaps,deployments,daemonsets,statefulsets,poddisruptionbudgets,networkpolicies,validatingwebhookconfigurations,apiservices \
		-A -o json | jq -S '.items
		| map(select((.kind == "ConfigMap" and (.metadata.name | IN("kubeadm-config", "kubelet-config", "kubernetes-services-endpoint",
			"cluster-info") or startswith("kubelet-config"))) | not))
		| map({ key: "\(.kind)/\(.metadata.namespace // "-")/\(.metadata.name)", value: (
			del(.status, .metadata.resourceVersion, .metadata.generation, .metadata.managedFields)
			| if .metadata.annotations then .metadata.annotations |= with_entries(select(.key
				| IN("deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation") | not)) else . end
			| if .spec.template.metadata.annotations then .spec.template.metadata.annotations |= with_entries(
				select(.key | endswith("restartedAt") or contains("renumber") | not)) else . end
			| if .spec.template.metadata and (.spec.template.metadata.annotations // {}) == {} then
				del(.spec.template.metadata.annotations) else . end
			| if (.metadata.annotations // {}) == {} then del(.metadata.annotations) else . end) })
		| from_entries'
}

objects_same() {
	objects_services >"$RESULT/services-after.json"
	diff -U 6 "$RESULT/services-before.json" "$RESULT/services-after.json"
}

objects_others_same() {
	objects_others >"$RESULT/others-after.json"
	diff -U 6 "$RESULT/others-before.json" "$RESULT/others-after.json"
}
