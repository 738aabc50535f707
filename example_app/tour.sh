#!/bin/sh
# A tour by curl, a client that knows nothing of this library: log in on two devices, wait past the access token's
# lifetime, go on, and log out by three of the four forms. Needs a fresh database, so that its user is the administrator.
#
#   ASGI_SESSIONS_ACCESS_TOKEN_LIFETIME=3s uvicorn example_app.main:app --workers 2
#   example_app/tour.sh http://localhost:8000 3
set -eu
base=${1:-http://localhost:8000}
lifetime=${2:-3} # seconds, as the server was told
jars=$(mktemp -d)
trap 'rm -rf "$jars"' EXIT
name="tour-$$"

# call JAR METHOD PATH [JSON]: prints status and body; the jar keeps the cookies as a browser does.
call() {
    jar=$1 method=$2 path=$3 body=${4:-}
    set -- --silent --show-error --max-time 20 --cookie "$jars/$jar" --cookie-jar "$jars/$jar" --request "$method" \
        --dump-header "$jars/headers" \
        --user-agent "curl on $jar" --write-out '%{http_code}' --output "$jars/answer"
    [ -z "$body" ] || set -- "$@" --header 'Content-Type: application/json' --data "$body"
    status=$(curl "$@" "$base$path")
    printf '%-7s %-6s %-45s %s %s\n' "$jar" "$method" "$path" "$status" "$(head -c 160 "$jars/answer")"
}
# expect STATUS: ends the tour where the last call said otherwise.
expect() { [ "$status" = "$1" ] || { echo "expected $1" >&2; exit 1; }; }
# soon JAR METHOD PATH STATUS: as `call`, again and again for some seconds: other workers hear of a logout in half a second.
soon() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        call "$1" "$2" "$3"
        [ "$status" != "$4" ] || return 0
        sleep 0.2
    done
    expect "$4"
}
# cleared COUNT: how many cookies the last answer has cleared. (Of two, curl 7.88 itself forgets only one.)
cleared() {
    count=$(grep -ci '^set-cookie: .*=; .*Max-Age=0' "$jars/headers" || true)
    echo "cookies that this answer clears: $count"
    [ "$count" = "$1" ] || { echo "expected $1" >&2; exit 1; }
}
# handle JAR: the session handle that this device is known by.
handle() { sed -n 's/.*"session_handle":"\([0-9a-f]*\)".*/\1/p' "$jars/answer"; }

curl --silent --retry 30 --retry-connrefused --retry-delay 1 --output /dev/null "$base/" # until the server is up
credentials="{\"name\": \"$name\", \"password\": \"correct horse battery\"}"
echo "== log in on a laptop and on a phone"
call laptop POST /api/sign-up "$credentials"; expect 201
call phone POST /api/sign-in "$credentials"; expect 200
call phone GET /api/me; expect 200

echo "== wait past the access token's lifetime, then go on: the middleware refreshes by itself"
before=$(grep sRefreshToken "$jars/laptop")
sleep $((lifetime + 1))
call laptop GET /api/me; expect 200
[ "$before" != "$(grep sRefreshToken "$jars/laptop")" ] || { echo "the refresh token was not rotated" >&2; exit 1; }
sleep $((lifetime + 1))
call laptop GET /api/me; expect 200
call phone GET /api/me; expect 200

echo "== logout, first form: through the Session; the cookies leave with the answer"
call phone POST /api/log-out; expect 204; cleared 2
soon phone GET /api/me 401

echo "== logout, second form: by session handle, from another device; no cookie is touched until the next request"
call phone POST /api/sign-in "$credentials"; expect 200
call phone GET /api/me; expect 200
phone=$(handle)
call laptop DELETE "/api/devices/$phone"; expect 204; cleared 0
soon phone GET /api/me 401; cleared 2
call laptop DELETE "/api/devices/$phone"; expect 404

echo "== logout, third form: all of a user's sessions, by the administrator"
call phone POST /api/sign-in "$credentials"; expect 200
call laptop GET /api/me; expect 200
user=$(sed -n 's/.*"user_id":\([0-9]*\).*/\1/p' "$jars/answer")
call laptop POST "/api/admin/users/$user/log-out"; expect 200; cleared 0
soon phone GET /api/me 401
soon laptop GET /api/me 401
echo "== done: every answer was as expected"
