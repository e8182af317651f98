#!/usr/bin/env bash
# The production recipe (docs/how-to/operator/production.md), tried from nothing, in a directory of its own: `make trial`, or
#
#     deploy/trial.sh [--keep]
#
# It takes PostgreSQL, redis-server and nginx from the machine's packages (and installs them where it may), starts them
# on unix sockets and loopback ports only, starts the portal by the files of deploy/, makes people of the five roles by
# the documented commands, and then tries what a production installation must withstand. Each step says PASS or FAIL; the exit code is
# the number of failures. Everything that was started is ended by its process id, on Ctrl-C too. --keep leaves the
# directory with all logs. To add a step: a function, and a line `step "what must be so" function` at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export PATH=$PATH:/usr/sbin:/sbin
keep=${1:-}

# --- Programs -------------------------------------------------------------------------------------

find_postgres() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; }
if ! command -v nginx >/dev/null || ! command -v redis-server >/dev/null || [ -z "$(find_postgres)" ] \
        || ! command -v curl >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install --quiet --yes --no-install-recommends \
        postgresql redis-server nginx-light curl || exit 2
fi
[ -x .venv/bin/gunicorn ] || { echo "There is no .venv: run 'make .venv/.stamp-run' first."; exit 2; }
pg=$(find_postgres)

# --- A place, and an end --------------------------------------------------------------------------

home=$(mktemp -d /tmp/portal-trial.XXXXXX)
chmod 711 "$home"
pids=()
mounted=""
say() { printf '%s\n' "$*"; }
started() { pids+=("$1"); }
end() {
    trap - EXIT INT TERM HUP
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -CONT "${pids[i]}" 2>/dev/null
        # PostgreSQL would wait for its clients after SIGTERM.
        kill -"$([ "${pids[i]}" = "${pg_pid:-}" ] && echo INT || echo TERM)" "${pids[i]}" 2>/dev/null
    done
    for pid in "${pids[@]}"; do
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    [ -n "$mounted" ] && umount "$mounted"
    if [ "$keep" = --keep ]; then say "Everything is in $home."; else rm -rf "$home"; fi
}
trap 'end' EXIT
trap 'end; exit 130' INT TERM HUP

until_true() { # seconds command...
    local until=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $until ] || return 1; sleep 0.2; done
}
free_port() { "$root/.venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
secret() { openssl rand -hex "$1"; }

number=0 failures=0
step() { # "what must be so" function...
    number=$((number + 1))
    local words=$1 from=$SECONDS; shift
    if "$@" >"$home/logs/step-$number" 2>&1; then
        printf 'PASS %2d  %s (%d s)\n' $number "$words" $((SECONDS - from))
    elif [ $? = 77 ]; then
        printf 'SKIP %2d  %s: %s\n' $number "$words" "$(tail -n 1 "$home/logs/step-$number")"
    else
        failures=$((failures + 1))
        printf 'FAIL %2d  %s (%d s)\n' $number "$words" $((SECONDS - from))
        sed 's/^/           /' "$home/logs/step-$number" | tail -n 12
    fi
}
skip() { echo "$*"; return 77; }
expect() { # got wanted what
    [ "$1" = "$2" ] || { echo "$3: $1 instead of $2"; return 1; }
}

# --- PostgreSQL, Redis ----------------------------------------------------------------------------

mkdir -p "$home"/{logs,web,tls,keys,client} "$home/data"
chmod 700 "$home"/{logs,web,tls,keys,client,data}
# A small disk of its own for the portal's data, so that it can be filled.
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=256m,mode=700 portal-trial "$home/data" 2>/dev/null; then mounted=$home/data; fi
db_password=$(secret 16) redis_password=$(secret 16)
redis_port=$(free_port) https_port=$(free_port) http_port=$(free_port)

as_postgres=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses root.
    getent passwd postgres >/dev/null && db_user=postgres || db_user=nobody
    as_postgres=(setpriv --reuid="$db_user" --regid="$(id -gn "$db_user")" --clear-groups)
    install -d -m 700 -o "$db_user" "$home/pg"
else
    mkdir -m 700 "$home/pg"
fi
say "Starting PostgreSQL ($("$pg/postgres" --version | cut -d ' ' -f 3)), Redis and nginx in $home."
(cd "$home/pg" && "${as_postgres[@]}" "$pg/initdb" -D data -U postgres -A trust -E UTF8 --locale=C.UTF-8 >/dev/null) || exit 2
# The portal's role comes with a password, as in production; the administrator's socket is the trial's own.
printf '%s\n' 'local all postgres trust' 'host portal portal 127.0.0.1/32 scram-sha-256' |
    "${as_postgres[@]}" tee "$home/pg/data/pg_hba.conf" >/dev/null
db_port=$(free_port)
(cd "$home/pg" && exec "${as_postgres[@]}" "$pg/postgres" -D data -k "$home/pg" -p "$db_port" -c listen_addresses=127.0.0.1) \
    >"$home/logs/postgresql" 2>&1 & pg_pid=$!; started $pg_pid
admin_sql() { "${as_postgres[@]}" "$pg/psql" -h "$home/pg" -p "$db_port" -U postgres -d "${db:-postgres}" -qAtX -v ON_ERROR_STOP=1 "$@"; }
until_true 20 admin_sql -c 'SELECT 1' || { cat "$home/logs/postgresql"; exit 2; }
admin_sql -c "CREATE ROLE portal LOGIN PASSWORD '$db_password'" -c 'CREATE DATABASE portal OWNER portal' || exit 2

printf '%s\n' "bind 127.0.0.1" "port $redis_port" "requirepass $redis_password" 'save ""' "dir $home/web" \
    'maxmemory-policy noeviction' | redis-server - >"$home/logs/redis" 2>&1 & redis_pid=$!; started $redis_pid

# --- The portal's settings: deploy/portal.env, filled in -------------------------------------------

sed -e "s|^PORTAL_DATA_DIR=.*|PORTAL_DATA_DIR=$home/data|" -e "s|^SECRET_KEY=.*|SECRET_KEY=$(secret 40)|" \
    -e "s|^SUPPRESSION_KEY=.*|SUPPRESSION_KEY=$(secret 40)|" \
    -e "s|^REDACTION_KEYS=.*|REDACTION_KEYS=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')|" \
    -e "s|^CHECKPOINT_KEY_FILE=.*|CHECKPOINT_KEY_FILE=$home/keys/checkpoint.key|" \
    -e "s|^DATABASE_URL=.*|DATABASE_URL=postgres://portal:$db_password@127.0.0.1:$db_port/portal|" \
    -e "s|^REDIS_URL=.*|REDIS_URL=redis://:$redis_password@127.0.0.1:$redis_port/0|" \
    -e "s|^EMAIL_URL=.*|EMAIL_URL=smtp://127.0.0.1:$(free_port)|" \
    -e "s|^PUBLIC_URL=.*|PUBLIC_URL=https://portal.example:$https_port|" deploy/portal.env >"$home/portal.env"
chmod 600 "$home/portal.env"
set -a
# shellcheck disable=SC1091  # made above
. <(sed 's/=\(.*\)/='"'"'\1'"'"'/' "$home/portal.env" | grep -v '^#')
WEB_BIND=unix:$home/web/web.sock
CSRF_TRUSTED_ORIGINS=https://portal.example:$https_port
# A trial of minutes looks more often than production.
SWEEP_SECONDS=5
# Its disk is a small one.
MIN_FREE_BYTES=16000000
set +a
manage() { .venv/bin/python manage.py "$@"; }

# --- The proxy: deploy/nginx.conf, filled in -------------------------------------------------------

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=portal.example -addext subjectAltName=DNS:portal.example \
    -keyout "$home/tls/privkey.pem" -out "$home/tls/fullchain.pem" 2>/dev/null || exit 2
{
    [ "$(id -u)" = 0 ] && echo "user root;"
    echo "daemon off; pid $home/web/nginx.pid; error_log $home/logs/nginx; events {} http { access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $home/web/$kind;"; done
    sed -e "s|/etc/ssl/portal|$home/tls|" -e "s|/run/portal|$home/web|" -e "s|listen 80;|listen 127.0.0.1:$http_port;|" \
        -e "s|listen 443 ssl|listen 127.0.0.1:$https_port ssl|" deploy/nginx.conf
    echo "}"
} >"$home/web/nginx.conf"

# --- Installing: the lines of the recipe ------------------------------------------------------------

say "Installing: migrate, collectstatic, the first people, the key of the checkpoints."
{
    manage migrate --verbosity 0 &&
    manage collectstatic --noinput --verbosity 0 &&
    manage create_person anton --role Administrator &&
    for person in "olga:Privacy officer" "otto:Privacy officer" "emil:ML engineer" "ada:Auditor"; do
        manage create_person "${person%%:*}" --role "${person#*:}" || exit 1
    done &&
    manage create_team trial --responsible emil &&
    for name in anton olga otto emil ada; do echo "trial of $name, no guess" | manage changepassword "$name" --stdin || exit 1; done &&
    manage checkpoint_key add --by anton &&
    product_token=$(manage create_token --user product --create-user --role "Product service" --name product \
        --scope decisions:write members:read) && echo "$product_token" >"$home/client/product"
} >"$home/logs/install" 2>&1 || { cat "$home/logs/install"; say "The installation failed."; exit 2; }
product_token=$(cat "$home/client/product")

nginx -c "$home/web/nginx.conf" -p "$home/web" 2>"$home/logs/nginx" & started $!
.venv/bin/gunicorn --config deploy/gunicorn.conf.py >"$home/logs/web" 2>&1 & web_pid=$!; started $web_pid
deploy/worker freezes >"$home/logs/worker-freezes" 2>&1 & freezes_pid=$!; started $freezes_pid
deploy/worker others >"$home/logs/worker-others" 2>&1 & others_pid=$!; started $others_pid

url=https://portal.example:$https_port
web() { curl --silent --show-error --cacert "$home/tls/fullchain.pem" --resolve "portal.example:$https_port:127.0.0.1" --max-time 60 "$@"; }
status() { web --output /dev/null --write-out '%{http_code}' "$@"; }
until_true 60 web --fail "$url/readyz" || { tail -n 5 "$home"/logs/{web,nginx}; say "The portal does not answer."; exit 2; }

# --- What people do ---------------------------------------------------------------------------------

# A person's browser is a cookie jar; the address is one of 127.0.0.0/8, which the proxy sees as theirs.
person() { local name=$1; shift; web --cookie "$home/client/$name" --cookie-jar "$home/client/$name" --referer "$url/" "$@"; }
csrf() { awk '$6 == "csrftoken" { print $7 }' "$home/client/$1"; }
log_in() { # name password address -> status
    person "$1" --interface "${3:-127.0.0.1}" --output /dev/null "$url/admin/login/" &&
    person "$1" --interface "${3:-127.0.0.1}" --output "$home/client/$1.page" --dump-header "$home/client/$1.head" \
        --write-out '%{http_code}' --data-urlencode "csrfmiddlewaretoken=$(csrf "$1")" --data-urlencode "username=$1" \
        --data-urlencode "password=$2" --data-urlencode next=/admin/ "$url/admin/login/"
}
api() { local token=$1; shift; web --header "Authorization: Bearer $token" --header 'Content-Type: application/json' "$@"; }
field() { "$root/.venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1], ""))' "$1"; }
now() { date --utc +%FT%TZ; }
decision() { # account choice id
    printf '{"account_ref": "%s", "purpose": "generative-ai", "choice": "%s", "channel": "product", "source_id": "%s", "decided_at": "%s"}' \
        "$1" "$2" "$3" "$(now)"
}
run_state() { api "$trainer_token" "$url/api/v1/runs/$1" | field state; }
is_verified() { api "$trainer_token" "$url/api/v1/runs/$1" | grep --quiet '"verification": *"agrees"'; }
is_frozen() { [ "$(run_state "$1")" = frozen ]; }
register() {
    api "$trainer_token" "$url/api/v1/runs" --data "{\"tracker_run_id\": \"$1\", \"purpose\": \"generative-ai\", \"data_categories\": [\"posts\"]}" |
        field reference
}
start_run() { api "$trainer_token" --output "$home/client/start" --write-out '%{http_code}' --request POST "$url/api/v1/runs/$1/start"; }

# --- The steps --------------------------------------------------------------------------------------

settings_pass() { manage check --deploy --database default --fail-level WARNING; }

start_is_refused() {
    local said
    said=$(unset BEHIND_TLS_PROXY; WEB_PROCESSES=1 WEB_BIND=unix:$home/web/other.sock timeout 60 .venv/bin/gunicorn --config deploy/gunicorn.conf.py 2>&1)
    [ $? != 0 ] && tail -n 1 <<<"$said" && grep --quiet "does not start.*PROXY_HOPS" <<<"$said"
}

files_are_closed() {
    local open
    open=$(find "$home/data" "$home/keys" -perm /077 ! -type l)
    expect "$open" "" "files that others can read" &&
    expect "$(stat --format %a "$home/web/web.sock")" 770 "mode of the web server's socket" &&
    expect "$(ls -d ~/.gunicorn/*.ctl 2>/dev/null | wc -l)" 0 "control sockets of gunicorn"
}

strangers_learn_nothing() {
    expect "$(web "$url/readyz")" '{"status": "ok"}' /readyz &&
    expect "$(status "$url/api/v1/schema/")" 401 "the API's description" &&
    expect "$(status "$url/api/v1/docs/")" 401 "the API's pages" &&
    expect "$(status "$url/api/v1/runs")" 401 "runs" &&
    expect "$(status "http://portal.example:$http_port/admin/" --resolve "portal.example:$http_port:127.0.0.1")" 301 "plain HTTP" &&
    web --head "$url/api/v1/runs" | grep --ignore-case --quiet '^cache-control:.*no-store'
}

rules_and_members() {
    local members=60000
    manage load_timeline --proposed-by olga --approved-by otto &&
    awk -v n=$members 'BEGIN { print "account_ref,country,birth_date,status"; for (i = 1; i <= n; i++) printf "account-%09d,US,1990-05-17,open\n", i }' \
        >"$home/client/members.csv" &&
    manage import_members "$home/client/members.csv" --rows $members \
        --sha256 "$(sha256sum "$home/client/members.csv" | cut -d ' ' -f 1)"
}

administrator() {
    expect "$(log_in anton "trial of anton, no guess")" 302 "sign-in" &&
    expect "$(person anton --output /dev/null --write-out '%{http_code}' "$url/admin/")" 200 "start page" || return
    # A token for the engineer's tracker, by the page.
    local page emil
    page=$(person anton "$url/admin/common/servicetoken/add/") &&
    emil=$(grep --only-matching 'value="[0-9]*"[^>]*>emil<' <<<"$page" | grep --only-matching '[0-9]*' | head -n 1) &&
    person anton --data-urlencode "csrfmiddlewaretoken=$(csrf anton)" --data "user=$emil&days=7&name=tracker" \
        --data scopes=runs:read --data scopes=runs:write --data scopes=manifests:read --data scopes=deliveries:write "$url/admin/common/servicetoken/add/" \
        >"$home/client/issued" &&
    grep --only-matching '\b[0-9a-f]\{64\}\b' "$home/client/issued" | head -n 1 >"$home/client/trainer" &&
    [ -s "$home/client/trainer" ]
}

product() {
    local answer
    answer=$(api "$product_token" --write-out ' %{http_code}' "$url/api/v1/decisions" --data "$(decision account-000000001 deny first)")
    expect "${answer##* }" 201 "an opt-out"
}

officer() {
    expect "$(log_in olga "trial of olga, no guess")" 302 "sign-in" &&
    expect "$(person olga --output /dev/null --write-out '%{http_code}' "$url/admin/")" 200 "start page" || return
    # A visitor objects by the form, and the officer takes the ticket.
    local stamp ticket
    stamp=$(web "$url/objection/" | grep --only-matching 'name="stamp" value="[^"]*"' | cut -d '"' -f 4)
    expect "$(status "$url/objection/" --data-urlencode "stamp=$stamp" --data kind=objection --data purposes=safety \
        --data country=DE --data-urlencode email=nora@portal.example --data name= --data account_ref= --data statement= --data topic=)" \
        302 "the form" || return
    ticket=$(person olga "$url/admin/objections/ticket/" | grep --only-matching 'name="tickets" value="[0-9:]*"' | head -n 1 | cut -d '"' -f 4)
    [ -n "$ticket" ] || { echo "no ticket to take in the queue"; return 1; }
    expect "$(person olga --output /dev/null --write-out '%{http_code}' --data-urlencode "csrfmiddlewaretoken=$(csrf olga)" \
        --data-urlencode "tickets=$ticket" "$url/admin/objections/ticket/take/")" 302 "taking it" &&
    expect "$(db=portal admin_sql -c "SELECT username FROM objections_ticket t JOIN auth_user u ON u.id = t.assignee_id WHERE t.id = ${ticket%:*}")" \
        olga "whose ticket it is"
}

engineer() {
    expect "$(log_in emil "trial of emil, no guess")" 302 "sign-in" &&
    expect "$(person emil --output /dev/null --write-out '%{http_code}' "$url/admin/")" 200 "start page" || return
    trainer_token=$(cat "$home/client/trainer")
    register trial-1 >"$home/client/run" && expect "$(start_run "$(cat "$home/client/run")")" 202 "the start" &&
    until_true 60 is_verified "$(cat "$home/client/run")"
}

checkpoint_is_signed() { [ -n "$(db=portal admin_sql -c "SELECT max(size) FROM ledger_checkpoint")" ]; }
auditor() {
    expect "$(log_in ada "trial of ada, no guess")" 302 "sign-in" &&
    expect "$(person ada --output /dev/null --write-out '%{http_code}' "$url/admin/")" 200 "start page" &&
    expect "$(person ada --output /dev/null --write-out '%{http_code}' "$url/admin/ledger/entry/")" 200 "the ledger" || return
    local size
    until_true 60 checkpoint_is_signed &&
    size=$(db=portal admin_sql -c "SELECT max(size) FROM ledger_checkpoint") &&
    person ada --fail "$url/admin/audit/checkpoints/$size/" | tee "$home/client/checkpoint" | grep --quiet "portal.example"
}

members_url() { echo "$url/api/v1/deliveries/$(cat "$home/client/delivery")/files/members.parquet"; }
# The worker makes the list once: the delivery is refused until it is whole.
list_is_there() { expect "$(api "$trainer_token" --output "$home/client/whole.parquet" --write-out '%{http_code}' "$(members_url)")" 200 "the list"; }
slow_download_begins() {
    api "$trainer_token" --fail --data '{}' "$url/api/v1/runs/$(cat "$home/client/run")/deliveries" |
        grep --only-matching 'DL-[0-9]*-[0-9]*' | head -n 1 >"$home/client/delivery"
    [ -s "$home/client/delivery" ] || { echo "no delivery was requested"; return 1; }
    until_true 60 list_is_there || return
    # Longer than the web server's own time limit.
    local rate=$(($(stat --format %s "$home/client/whole.parquet") / 65 + 1))
    (api "$trainer_token" --fail --limit-rate $rate --max-time 170 --output "$home/client/slow.parquet" "$(members_url)" 2>"$home/client/slow.log"
        echo $? >"$home/client/slow.code") & slow_pid=$!; started $slow_pid
    slow_from=$SECONDS
}
slow_download_is_whole() {
    until_true 120 test -s "$home/client/slow.code" || { echo "not done after $((SECONDS - slow_from)) s"; return 1; }
    echo "took $((SECONDS - slow_from)) s at most"
    expect "$(cat "$home/client/slow.code")" 0 "curl's exit code" &&
    cmp "$home/client/whole.parquet" "$home/client/slow.parquet"
}
download_is_resumed() {
    local size half
    size=$(stat --format %s "$home/client/whole.parquet") half=$(($(stat --format %s "$home/client/whole.parquet") / 2))
    head --bytes $half "$home/client/whole.parquet" >"$home/client/resumed.parquet"
    expect "$(api "$trainer_token" --range "$half-" --output "$home/client/rest.parquet" --write-out '%{http_code}' "$(members_url)")" 206 "a range" &&
    cat "$home/client/rest.parquet" >>"$home/client/resumed.parquet" && expect "$(stat --format %s "$home/client/resumed.parquet")" "$size" "bytes" &&
    cmp "$home/client/whole.parquet" "$home/client/resumed.parquet"
}

guesses_are_delayed() {
    local delayed=0 code
    for _ in $(seq 20); do
        code=$(log_in otto "wrong" 127.0.0.2)
        [ "$code" = 429 ] && delayed=$((delayed + 1))
    done
    echo "$delayed of 20 guesses were not looked at"
    [ $delayed -ge 8 ] || return 1
    # On a slow machine a delay may have ended by now: guess until the next one has begun, which is a longer one.
    until [ "$(log_in otto "wrong" 127.0.0.2)" != 429 ]; do sleep 0.2; done
    code=$(log_in otto "trial of otto, no guess" 127.0.0.2)
    expect "$code" 429 "the right password from where the guesses came" &&
    grep --ignore-case '^retry-after' "$home/client/otto.head" &&
    expect "$(log_in otto "trial of otto, no guess" 127.0.0.3)" 302 "the right password from elsewhere"
}

held_lock_is_told() {
    (db=portal admin_sql -c 'BEGIN' -c 'SELECT 1 FROM ledger_ledgerhead FOR UPDATE' -c 'SELECT pg_sleep(60)') >"$home/logs/holder" 2>&1 & holder=$!
    started $holder
    until_true 10 test "$(db=portal admin_sql -c "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()")" != 0
    sleep 1
    local began=$SECONDS code n
    for n in $(seq 8); do
        (api "$product_token" --output "$home/client/held-$n" --dump-header "$home/client/held-$n.head" --write-out '%{http_code} %{time_total}\n' \
            "$url/api/v1/decisions" --data "$(decision "account-00000001$n" deny "held-$n")" >"$home/client/held-$n.code") &
        writers[n]=$!
    done
    code=$(web --max-time 5 --output /dev/null --write-out '%{http_code} %{time_total}' "$url/healthz")
    echo "/healthz: $code s"
    for n in $(seq 8); do wait "${writers[n]}"; done
    cat "$home"/client/held-*.code
    echo "took $((SECONDS - began)) s"
    [ $((SECONDS - began)) -le 8 ] && [[ $code == "200 0."* ]] || return 1
    for n in $(seq 8); do
        [[ $(cat "$home/client/held-$n.code") == 503* ]] && grep --ignore-case --quiet '^retry-after' "$home/client/held-$n.head" || return 1
    done
    expect "$(person olga --output "$home/client/page" --write-out '%{http_code}' "$url/admin/")" 200 "a page that only reads" || return
    db=portal admin_sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()" >/dev/null
    wait $holder
    for n in $(seq 8); do
        expect "$(api "$product_token" --output /dev/null --write-out '%{http_code}' "$url/api/v1/decisions" --data "$(decision "account-00000001$n" deny "held-$n")")" \
            201 "the opt-out, sent again" || return
    done
}

stopped_broker_stops_no_request() {
    local run took
    run=$(register trial-broker) && kill -STOP $redis_pid || return
    took=$(api "$trainer_token" --output /dev/null --write-out '%{http_code} %{time_total}' --request POST "$url/api/v1/runs/$run/start")
    echo "the start: $took s"
    local stamp form
    stamp=$(web "$url/objection/" | grep --only-matching 'name="stamp" value="[^"]*"' | cut -d '"' -f 4)
    form=$(web --output /dev/null --write-out '%{http_code} %{time_total}' "$url/objection/" --data-urlencode "stamp=$stamp" --data kind=objection \
        --data purposes=safety --data country=DE --data-urlencode email=nils@portal.example --data name= --data account_ref= --data statement= --data topic=)
    echo "the form: $form s"
    # From cron, or by hand: what the workers do once they have a broker again.
    manage sweep; local swept=$?
    kill -CONT $redis_pid
    [[ $took =~ ^202\ [01]\. ]] && [[ $form =~ ^302\ [01]\. ]] && expect $swept 0 "manage.py sweep" && is_frozen "$run" || return 1
    # And the workers go on.
    run=$(register trial-broker-2) && expect "$(start_run "$run")" 202 "the next start" && until_true 90 is_verified "$run"
}

workers_take_no_orders() {
    timeout 30 .venv/bin/celery --app portal control --timeout 2 shutdown
    sleep 1
    kill -0 $freezes_pid && kill -0 $others_pid
}

full_disk_is_no_wrong_list() {
    [ -n "$mounted" ] || { skip "the data directory is on the machine's disk: a small tmpfs needs root"; return; }
    local run
    run=$(register trial-full) || return
    dd if=/dev/zero of="$home/data/manifests/filler" bs=64k 2>/dev/null
    df "$home/data" | tail -n 1
    expect "$(start_run "$run")" 202 "the start" &&
    expect "$(api "$product_token" --output /dev/null --write-out '%{http_code}' "$url/api/v1/decisions" --data "$(decision account-000000777 deny full)")" 201 \
        "an opt-out" || { rm -f "$home/data/manifests/filler"; return 1; }
    sleep 12
    local state
    state=$(run_state "$run")
    rm -f "$home/data/manifests/filler"
    expect "$state" requested "the run on a full disk" && until_true 90 is_verified "$run"
}

everything_agrees() { manage verify_ledger && for run in $(db=portal admin_sql -c "SELECT r.reference FROM training_runs_run r JOIN training_runs_manifest m ON m.run_id = r.id"); do manage verify_manifest "$run" || return; done; }
logs_name_no_person() {
    local found
    found=$(grep --recursive --files-with-matches --extended-regexp 'account-0000|nora@|nils@|trial of ' "$home"/logs/{web,worker-*,nginx,redis,postgresql})
    expect "$found" "" "logs with references, addresses or passwords"
}

step "the settings pass check --deploy" settings_pass
step "a web server that cannot tell senders apart does not start" start_is_refused
step "what the portal writes, and its socket, are closed to others" files_are_closed
step "strangers learn nothing, and nothing is cached" strangers_learn_nothing
step "the timeline and 60,000 members are loaded by the commands" rules_and_members
step "an administrator signs in and issues a token" administrator
step "the product records an opt-out" product
step "a privacy officer signs in and takes an objection" officer
trainer_token=$(cat "$home/client/trainer" 2>/dev/null)
step "an ML engineer signs in, starts a run, and it is verified" engineer
step "an auditor signs in, reads the ledger and takes a checkpoint along" auditor
step "a list is made; a slow reader begins to take it" slow_download_begins
step "guesses are delayed, and lock no user out elsewhere" guesses_are_delayed
step "a held lock: opt-outs are told to come back, and are taken then" held_lock_is_told
step "a stopped broker keeps no request and no freeze waiting" stopped_broker_stops_no_request
step "workers take no orders through the broker" workers_take_no_orders
step "a full disk makes no wrong list, and freezes go on when it is free" full_disk_is_no_wrong_list
step "the slow reader has the whole list" slow_download_is_whole
step "a download is resumed where it was cut" download_is_resumed
step "ledger and manifests agree with history" everything_agrees
step "no log has a reference, an address or a password" logs_name_no_person

say
say "$((number - failures)) of $number steps did not fail, in $SECONDS s."
exit $failures
