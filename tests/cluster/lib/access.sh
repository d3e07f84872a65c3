# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The operator's way in: a real sshd on every node, a key and a configuration
# made for this cluster. Users: root, and operator, who may sudo.

access_create() {
	mkdir -p "$DIR/ssh"
	ssh-keygen -q -t ed25519 -N '' -C "test cluster $NAME" -f "$DIR/ssh/key"
	ssh-keygen -q -t ed25519 -N '' -C "test nodes" -f "$DIR/ssh/host_key"
	: >"$DIR/ssh/known_hosts"
	: >"$SSH_CONFIG"
}

# access_add NODE ADDRESS
access_add() {
	printf '%s,%s %s\n' "$1" "$2" "$(cut -d ' ' -f 1,2 "$DIR/ssh/host_key.pub")" >>"$DIR/ssh/known_hosts"
	cat >>"$SSH_CONFIG" <<-CONFIG
		Host $1 $2
			HostName $2
			User root
			IdentityFile $DIR/ssh/key
			IdentitiesOnly yes
			UserKnownHostsFile $DIR/ssh/known_hosts
			GlobalKnownHostsFile /dev/null
			StrictHostKeyChecking yes
			BatchMode yes
			ConnectTimeout 5
	CONFIG
}

# access_start NODE ADDRESS
access_start() {
	local node=$1 dir=$DIR/nodes/$1/lib/node-sshd

	mkdir -p "$dir"
	cp "$DIR/ssh/host_key" "$dir/host_key"
	cp "$DIR/ssh/key.pub" "$dir/authorized_keys"
	chmod 755 "$dir"
	cat >"$dir/config" <<-CONFIG
		ListenAddress $2:22
		HostKey /var/lib/node-sshd/host_key
		AuthorizedKeysFile /var/lib/node-sshd/authorized_keys
		PidFile none
		UsePAM no
		StrictModes no
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		PermitRootLogin prohibit-password
		MaxStartups 100
		Subsystem sftp internal-sftp
	CONFIG
	node_spawn "$node" sshd /usr/sbin/sshd -D -e -f /var/lib/node-sshd/config
}
