#!/usr/bin/env bash
# Installs the database clients that the integration tests log in with, each at the version and digest that is written down beside it, and
# prints the folder that they are in. The folder is in the cache that every clone on this machine shares, named by what is in it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/iamdb-operator
digest=$(cd "$here" && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
folder=$cache/clients/$digest

if [ ! -e "$folder/complete" ]; then
	mkdir -p "$cache/clients"
	exec 9>"$cache/clients/lock"
	flock 9
fi
if [ ! -e "$folder/complete" ]; then
	rm -rf "$folder"
	mkdir -p "$folder"/{python,node,java}
	{
		echo "database clients for the tests, once" >&2
		python3 -m venv "$folder/venv"
		"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
			--target "$folder/python" --requirement "$here/python/requirements.txt"
		cp "$here"/node/package*.json "$folder/node/"
		(cd "$folder/node" && npm ci --silent --legacy-peer-deps --ignore-scripts --no-audit --no-fund)
		for artifact in com.mysql:mysql-connector-j:8.4.0 org.mariadb.jdbc:mariadb-java-client:3.4.1; do
			mvn --quiet --batch-mode "-Dmaven.repo.local=$folder/maven" \
				org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy "-Dartifact=$artifact" "-DoutputDirectory=$folder/java"
		done
		rm -rf "$folder/venv" "$folder/maven"
		(cd "$folder/java" && sha256sum --quiet --check "$here/java/drivers.sha256")
		javac -d "$folder/java" "$here/java/Login.java"
		go build -C "$here/go" -buildvcs=false -o "$folder/go-login" .
	} 1>&2
	touch "$folder/complete"
fi
echo "$folder"
