# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Three hundred Services of all kinds, a webhook that sees each of their writes,
# and an aggregated API.
# shellcheck disable=SC2034 # set for the other parts

# many_services: as one List. Of each kind the first is probed.
many_services() {
	local class=true slices=discovery.k8s.io/v1

	! kube_older_than "$VERSION" 1.24 || class=false
	! kube_older_than "$VERSION" 1.21 || slices=discovery.k8s.io/v1beta1
	jq -n --argjson class $class --arg slices "$slices" --arg backend "$(kc -n shop get pods -l app=echo \
		-o 'jsonpath={.items[*].status.podIP}')" --arg stays "$(many_backends)" '
		def service($name; $spec): { apiVersion: "v1", kind: "Service", metadata: { name: $name, namespace: "shop",
			labels: { "app.kubernetes.io/name": $name }, annotations: { "example.com/owner": "team \($name)" } }, spec: $spec };
		def echo: { selector: { app: "echo" } };
		def web: { ports: [{ name: "web", port: 80, targetPort: 8080 }] };
		def both: { ports: [{ name: "web", port: 5000, targetPort: 8080, protocol: "TCP" },
			{ name: "datagram", port: 5000, targetPort: 8080, protocol: "UDP" }] };
		def balanced: { type: "LoadBalancer" } + if $class then { loadBalancerClass: "example.com/nobody" } else {} end;
		def node: { ports: [{ name: "web", port: 8080, targetPort: 18999 }] };
		def kind($kind; $n; $spec): [range(1; $n + 1) | service("\($kind)-\(.)"; $spec)];
		def endpoints($name): { apiVersion: "v1", kind: "Endpoints", metadata: { name: $name, namespace: "shop" },
			subsets: [{ addresses: [$stays | split(" ")[] | { ip: . }], ports: [{ name: "web", port: 18999, protocol: "TCP" }] }] };
		def slice($name): { apiVersion: $slices, kind: "EndpointSlice", metadata: { name: "\($name)-own", namespace: "shop",
			labels: { "kubernetes.io/service-name": $name } }, addressType: "IPv4",
			ports: [{ name: "web", port: 18999, protocol: "TCP" }],
			endpoints: [$stays | split(" ")[] | { addresses: [.], conditions: { ready: true } }] };
		[ kind("plain"; 118; echo + web), kind("both"; 40; echo + both),
		  kind("sticky"; 30; echo + web + { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } }),
		  kind("nodeport"; 40; echo + web + { type: "NodePort" }), kind("balanced"; 20; echo + web + balanced),
		  kind("local"; 10; echo + web + balanced + { externalTrafficPolicy: "Local" }),
		  kind("endpoints"; 20; node), kind("slices"; 20; node),
		  kind("headless"; 10; echo + web + { clusterIP: "None" }),
		  kind("elsewhere"; 10; { type: "ExternalName", externalName: "example.invalid" }),
		  [range(1; 21) | endpoints("endpoints-\(.)")], [range(1; 21) | slice("slices-\(.)")] ]
		| { apiVersion: "v1", kind: "List", items: add }'
}

# The probes own process for comparison answers there, on every node.
many_backends() {
	local node all=()

	for node in $NODES; do
		all+=("$(node_address "$node")")
	done
	echo "${all[*]}"
}

# many_certificate: an authority, and a certificate of both Services
many_certificate() {
	local work=$DIR/extension

	mkdir -p "$work"
	(
		cd "$work" || exit
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj '/CN=test' -days 30
		openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj '/CN=webhook.shop.svc'
		openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out tls.crt \
			-extfile <(echo 'subjectAltName=DNS:webhook.shop.svc,DNS:aggregated.shop.svc')
	) 2>/dev/null
	kc -n shop create secret tls extension "--cert=$work/tls.crt" "--key=$work/tls.key" >&2
}

many_create() {
	local authority

	workload_image extension
	many_certificate
	authority=$(base64 -w 0 <"$DIR/extension/ca.crt")
	sed "s|@CA@|$authority|" "$LIB/../workloads/extension.yaml" | kc apply -f - >&2
	kc -n shop rollout status deployment/extension --timeout=120s >&2
	kc wait --for=condition=Available apiservice/v1.renumber.test --timeout=60s >&2
	many_patience echo
	many_patience extension
	many_services | kc create -f - >/dev/null
	sed "s|@CA@|$authority|" "$LIB/../workloads/webhook.yaml" | kc apply -f - >&2
	wait_until 60 1 many_webhook_works || die "the webhook is not called"
}

# many_patience DEPLOYMENT: its Pods go on for long enough. The controller-manager writes
# endpoints 20 times a second, and these stand behind hundreds of Services and aliases.
many_patience() {
	kc -n shop patch deployment "$1" -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":90,
		"containers":[{"name":"'"$1"'","env":[{"name":"DRAIN_SECONDS","value":"75"}]}]}}}}' >&2
	kc -n shop rollout status deployment/"$1" --timeout=180s >&2
}

many_webhook_works() {
	kc -n shop create service clusterip asked --tcp=80 --dry-run=server -o name >/dev/null 2>&1
}

MANY_PROBED='plain sticky nodeport balanced local endpoints slices'

# many_port KIND
many_port() {
	case $1 in
	endpoints | slices) echo 8080 ;;
	*) echo 80 ;;
	esac
}

# many_targets: one of each kind, at its old address and its new one
many_targets() {
	local kind period=$((50 * SLOWER * SLOWER))

	migrate_targets
	for kind in $MANY_PROBED; do
		printf 'tcp %s-old %s %s %s\n' "$kind" "$(many_from "$kind-1")" "$(many_port "$kind")" $period
		printf 'tcp %s-new %s %s %s\n' "$kind" "$(new_address shop "$kind-1")" "$(many_port "$kind")" $period
	done
	printf 'udp both-old %s 5000 %s\n' "$(many_from both-1)" $period
	printf 'udp both-new %s 5000 %s\n' "$(new_address shop both-1)" $period
	printf 'tcp nodeport-kind NODE %s %s\n' "$(kc -n shop get service nodeport-1 -o 'jsonpath={.spec.ports[0].nodePort}')" $period
}

# many_from NAME: from the plan, which was made before anything moved
many_from() {
	jq -r --arg name "$1" '.map[] | select(.namespace == "shop" and .name == $name) | .from' "$RESULT/plan"
}

many_windows() {
	local kind more='{}'

	for kind in $MANY_PROBED both; do
		more=$(jq -c --arg kind "$kind" --argjson flip "$(flip_or_never "shop/$kind-1")" \
			'. + { "\($kind)-new": $flip, "\($kind)-old": null }' <<<"$more")
	done
	migrate_windows "$1" | jq --argjson more "$more" '. as $w | . + ($more | with_entries(.value =
		if .value then { from: .value, to: $w.nodeport.to } else { from: 0, to: $w["api-old"].to } end))'
}

# many_callers: in the background, twice a second and server: the aggregated API, and
# a Service that the webhook is asked about. One line each that is not what it has to be.
many_callers() {
	local node pki=$DIR/nodes/${NODES%% *}/kubernetes/pki

	cp "$pki"/apiserver-kubelet-client.{crt,key} "$pki/ca.crt" "$DIR/extension/"
	: >"$DIR/log/callers"
	for node in $CONTROL_PLANES; do
		host_spawn "caller-$node" bash -c 'cd "$1"; while :; do
			for path in apis/renumber.test/v1 api/v1/namespaces/shop/services?dryRun=All; do
				post=()
				[[ $path = apis/* ]] || post=(-H "Content-Type: application/json" -d "{\"apiVersion\":\"v1\",\"kind\":\"Service\",
					\"metadata\":{\"generateName\":\"asked-\"},\"spec\":{\"ports\":[{\"port\":80}]}}")
				at=$EPOCHREALTIME
				code=$(curl -s --max-time 6 --cacert ca.crt --cert apiserver-kubelet-client.crt --key apiserver-kubelet-client.key \
					-o "answer-$2" -w "%{http_code}" "${post[@]}" "https://$2:6443/$path")
				case $code in
				200 | 201) echo "$at $2 ${path%%\?*} ok" ;;
				*) echo "$at $2 ${path%%\?*} $code $(head -c 300 "answer-$2" | tr "\n" " ")" ;;
				esac
			done
			sleep 0.4
		done >>"$3" 2>/dev/null' - "$DIR/extension" "$(node_address "$node")" "$DIR/log/callers"
	done
}

many_callers_end() {
	local node

	for node in $CONTROL_PLANES; do
		host_stop "caller-$node"
	done
	cp "$DIR/log/callers" "$RESULT/callers"
	fact called "$(grep -c ' ok$' "$RESULT/callers")"
	fact called_without_answer "$(grep -cE ' (000|401|403) ' "$RESULT/callers")"
	fact called_failed "$(grep -vcE ' (ok$|000 |401 |403 )' "$RESULT/callers")"
}

# A server that is being restarted gives no answer, or does not know who one is yet;
# what others say must not be about the Services that they call.
many_called() {
	grep -vE ' (ok$|000 |401 |403 )' "$RESULT/callers" | head -n 20
	! grep -qE ' 50[0-9] |failed calling webhook' "$RESULT/callers"
}

migrate_many() {
	many_create
	migrate_plan
	FRONT_NEW=$(new_address shop front)
	BUSY=$(machine_busy)
	follow_note 'the probes begin'
	many_targets | probes_start
	many_callers
	watch_flips
	sleep 10
	START=$EPOCHREALTIME
	check 'apply' migrate_apply
	fact apply_seconds "$(jq -n "($EPOCHREALTIME - $START) * 10 | round / 10")"
	fact services_seconds "$(migrate_stage_seconds services)"
	follow_note 'finalize begins'
	migrate_finalize
	check 'verify' tool_exits 0 verify
	many_callers_end
	migrate_end many_windows "$EPOCHREALTIME"
	migrate_loss_checks
	check 'no API server missed its webhook or its aggregated API' many_called
	check '300 Services and the system ones moved' many_moved
	JOIN=0
	migrate_checks
}

many_moved() {
	jq -e '[.map[] | select((.name | test("-[0-9]+$")) or .name == "webhook" or .name == "aggregated")] | length == 300' "$RESULT/plan"
}
