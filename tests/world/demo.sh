#!/usr/bin/env bash
# The main job, shown: three resources applied with kubectl, and a client that logs in with a rotated token from a mounted Secret.
# Run by `make demo`. DEMO_KEEP=1 leaves everything running.
set -euo pipefail

readonly root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
readonly world=target/world-bin/world namespace=shop role=arn:aws:iam::123456789012:role/shop-app
readonly started=$SECONDS
shown=()
scratch=

say() { printf '\n\033[1m%s\033[0m  (%s s)\n' "$*" $((SECONDS - started)); }
show() { printf '   %s\n' "$@"; }
proved() { shown+=("$1|$2"); show "ok: $1: $2"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

clean_up() {
    local status=$?
    [ -z "$scratch" ] || rm -rf "$scratch"
    for database in orders billing; do rm -rf "/var/run/secrets/iamdb.dev/$database-db"; done
    rmdir /var/run/secrets/iamdb.dev 2>/dev/null || true
    if [ "${DEMO_KEEP:-0}" = 1 ]; then
        show "" "left running: . target/world/env; stop it with make world-down"
    else
        "$world" down >/dev/null 2>&1 || true
    fi
    exit "$status"
}

# Lays a Secret out as the kubelet does: a folder by the time, and a link to it that is replaced at once.
mount_secret() { # database
    local mount=/var/run/secrets/iamdb.dev/$1-db version
    version=..$(date +%Y_%m_%d_%H_%M_%S).$RANDOM
    mkdir -p "$mount/$version"
    kubectl -n "$namespace" get secret "$1-db" -o go-template='{{range $key, $value := .data}}{{$key}} {{$value}}{{"\n"}}{{end}}' |
        while read -r key value; do base64 -d <<<"$value" >"$mount/$version/$key"; done
    ln -sfn "$version" "$mount/..data.new" && mv -T "$mount/..data.new" "$mount/..data"
    for key in "$mount/$version"/*; do ln -sfn "..data/${key##*/}" "$mount/${key##*/}"; done
}

client_of() { case $1 in orders) echo mysql ;; billing) echo mariadb ;; esac; }

# Logs in with an option file alone, as an application's client would.
login() { # database option-file sql
    # Each family's client tells which of the options that are meant for the other it leaves out; nobody needs to read that here.
    "$WORLD_EXEC" "$(client_of "$1")" --defaults-extra-file="$2" --batch --skip-column-names --connect-timeout=10 --execute "$3" \
        2> >(grep -viE 'unknown (option|variable)' >&2) | grep -v 'is obsolete'
}

# A login that must be refused, and for which reason; prints what client and server say of it.
refused() { # database option-file reason
    local answer error reason
    if answer=$(login "$1" "$2" 'SELECT 1' 2>&1); then fail "a login that must be refused was admitted: $2"; fi
    error=$(grep -o 'ERROR [0-9]*' <<<"$answer" | head -1)
    reason=$(tail -n 1 "$WORLD_AUTH_LOG" | sed -n 's/.*"reason":"\([^"]*\)".*/\1/p')
    [ "$reason" = "$3" ] || fail "refused, but because of '$reason' and not '$3': $answer"
    printf '%s, because: %s' "$error" "$reason"
}

# The option file of a database with another token in it.
with_token() { # database token file
    local line
    while IFS= read -r line; do
        case $line in
            password=*) printf 'password="%s"\n' "$2" ;;
            *) printf '%s\n' "$line" ;;
        esac
    done <"/var/run/secrets/iamdb.dev/$1-db/my.cnf" >"$3"
}

wait_ready() {
    local before='' now deadline=$((SECONDS + 120))
    while :; do
        now=$(kubectl get dbservers,iamdbusers,dbauthtokens -A --no-headers \
            -o custom-columns='KIND:.kind,NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status,REASON:.status.conditions[?(@.type=="Ready")].reason' 2>/dev/null |
            awk '{printf "%s/%s %s %s\n", $1, $2, $3, $4}')
        if [ "$now" != "$before" ]; then
            diff <(echo "$before") <(echo "$now") | sed -n 's/^> /   /p' || true
            before=$now
        fi
        if [ -n "$now" ] && ! grep -qv ' True Ready$' <<<"$now"; then return; fi
        [ $SECONDS -lt $deadline ] || fail "not ready in 120 s; look at kubectl describe and $WORLD_OPERATOR_LOG"
        sleep 0.3
    done
}

policies_of_role() {
    python3 -c 'import json, sys
policies = json.load(open(sys.argv[1]))["policies"].get(sys.argv[2], [])
print(sum(len(s["Resource"]) if isinstance(s["Resource"], list) else 1 for s in policies))' target/world/auth.json "$role"
}

root_sql() { # database sql
    local socket=WORLD_${1^^}_SOCKET
    "$(client_of "$1")" --no-defaults --user=root --socket="${!socket}" --batch --skip-column-names --execute "$2"
}

[ -w /var/run ] || fail "it lays Secrets out below /var/run/secrets, as a kubelet does: run it as root"
say "1. A world of its own: Kubernetes, MySQL, MariaDB and a stand-in for AWS that checks"
trap clean_up EXIT
if [ -e target/world/env ]; then
    "$world" up
    "$world" operator # a world that stood already may run an older one
else
    "$world" up
fi
# shellcheck source=/dev/null
. target/world/env
scratch=$(mktemp -d)

say "2. kubectl apply -f examples/"
kubectl delete -f examples/ --ignore-not-found >/dev/null 2>&1 || true
kubectl apply -f examples/namespace.yaml
kubectl apply -f examples/
wait_ready
kubectl get dbservers,iamdbusers,dbauthtokens -A
kubectl -n "$namespace" get secret -L iamdb.dev/expires-at

for database in orders billing; do
    say "3. $database: a client logs in with the mounted files alone"
    mount=/var/run/secrets/iamdb.dev/$database-db
    mount_secret "$database"
    answer=$(login "$database" "$mount/my.cnf" "SELECT CURRENT_USER(), VERSION(); SHOW STATUS LIKE 'Ssl_cipher'")
    show "$answer"
    proved "$database: login from the mounted Secret" "$(head -1 <<<"$answer" | tr '\t' ' '), $(tail -1 <<<"$answer" | cut -f2)"

    say "4. $database: rotation on request"
    before=$(cat "$mount/password")
    sleep 1.1 # a token is signed for a second: another one of the same second is the same text
    kubectl -n "$namespace" annotate dbauthtoken "$database" --overwrite iamdb.dev/rotate-requested-at="$(date -u +%FT%TZ)"
    deadline=$((SECONDS + 30))
    until mount_secret "$database"; [ "$(cat "$mount/password")" != "$before" ]; do
        [ $SECONDS -lt $deadline ] || fail "no new token in 30 s"
        sleep 0.5
    done
    login "$database" "$mount/my.cnf" 'SELECT CURRENT_USER()' >/dev/null
    proved "$database: login with the rotated token" "usable until $(cat "$mount/token-expires-at")"

    say "5. $database: tokens that must be refused"
    host=WORLD_${database^^}_HOST
    kubectl -n "$namespace" create token app --audience sts.amazonaws.com >"$scratch/jwt"
    mint_token() { mint --host "${!host}" --port 3306 --region us-east-1 --role-arn "$role" --web-identity-token-file "$scratch/jwt" "$@"; }
    with_token "$database" "$(mint_token --user app_somebody)" "$scratch/other.cnf"
    proved "$database: a token of another user" "$(refused "$database" "$scratch/other.cnf" wrong-user)"
    with_token "$database" "$(mint_token --user "app_$database" --at -20m)" "$scratch/expired.cnf"
    proved "$database: an expired token" "$(refused "$database" "$scratch/expired.cnf" expired)"
    cp "$mount/my.cnf" "$scratch/$database-last.cnf"
    cp "$mount/ca.crt" "$scratch/ca.crt"
    sed -i "s|^ssl-ca=.*|ssl-ca=$scratch/ca.crt|" "$scratch/$database-last.cnf"
done

say "6. kubectl delete: account, policy and login go"
show "the role may connect as $(policies_of_role) accounts"
kubectl delete -f examples/orders.yaml -f examples/billing.yaml -f examples/ledger.yaml --wait
for database in orders billing; do
    accounts=$(root_sql "$database" "SELECT COUNT(*) FROM mysql.user WHERE User = 'app_$database'")
    [ "$accounts" = 0 ] || fail "the account app_$database is left"
    proved "$database: account and login gone" "0 accounts; $(login "$database" "$scratch/$database-last.cnf" 'SELECT 1' 2>&1 | sed -n 's/.*\(ERROR [0-9]*\).*/\1/p')"
done
[ "$(policies_of_role)" = 0 ] || fail "a policy is left on $role"
proved "IAM: policies of the role" "none left"
kubectl delete -f examples/namespace.yaml --wait >/dev/null

say "What was shown"
for line in "${shown[@]}"; do printf '   %-45s %s\n' "${line%%|*}" "${line#*|}"; done
